"""How much was found, and why an answer is not whole."""

from collections.abc import Mapping
from typing import Final

TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    "not_shown": ("Other recipients: {count}", "Andere Empfänger: {count}"),
    "found": ("{count} found", "{count} gefunden"),
    "range_of": ("{first}–{last} of {total}", "{first}–{last} von {total}"),
    "range_of_more": ("{first}–{last} of more", "{first}–{last} von mehr"),
    "range_so_far": ("{first}–{last} so far", "bisher {first}–{last}"),
    "searched": ("Searched: {since} to {until}.", "Durchsucht: {since} bis {until}."),
    "searched_back_to": (
        "So far only back to {time}; older mails were not looked for yet.",
        "Bisher nur zurück bis {time}; nach älteren Mails wurde noch nicht gesucht.",
    ),
    "searched_up_to": (
        "So far only up to {time}; newer mails were not looked for yet.",
        "Bisher nur bis {time}; nach neueren Mails wurde noch nicht gesucht.",
    ),
    "go_on": ("Go on searching from there", "Von dort weitersuchen"),
    "searching": (
        "Searching. It may take a while; what is found appears here.",
        "Die Suche läuft. Es kann etwas dauern; was gefunden wird, erscheint hier.",
    ),
    "not_all": ("There may be more mails: {why}", "Es kann mehr Mails geben: {why}"),
    "nothing": (
        "No such mail. The logs reach from {first} to {last}.",
        "Keine solche Mail. Die Logs reichen von {first} bis {last}.",
    ),
    "nothing_then": (
        "No such mail from {since} until {until}. Other times were not searched: the logs reach "
        "from {first} to {last}.",
        "Keine solche Mail von {since} bis {until}. Andere Zeiten wurden nicht durchsucht: die "
        "Logs reichen von {first} bis {last}.",
    ),
    "nothing_read": (
        "Not found in what could be read and understood.",
        "Nicht gefunden in dem, was zu lesen und zu verstehen war.",
    ),
    "why_day_unreadable": (
        "A day of the logs cannot be read: the log of this service says which one, and why.",
        "Ein Tag der Logs ist nicht lesbar: welcher und warum, steht im Log dieses Dienstes.",
    ),
    "why_shards_failed": (
        "A part of the store did not answer: the log of this service says more.",
        "Ein Teil des Speichers hat nicht geantwortet: Näheres im Log dieses Dienstes.",
    ),
    "why_server_limit": (
        "A limit of the store does not allow this question: the log of this service says which.",
        "Eine Grenze des Speichers lässt diese Frage nicht zu: welche, steht im Log dieses "
        "Dienstes.",
    ),
    "why_timed_out": (
        "It took too long and was ended. There may be more than is shown, and of what is shown the "
        "latest lines may be missing. Please ask for less time or for a whole address.",
        "Es dauerte zu lange und wurde beendet. Es kann mehr geben, als gezeigt wird, und vom "
        "Gezeigten können die letzten Zeilen fehlen. Bitte nach weniger Zeit oder einer ganzen "
        "Adresse fragen.",
    ),
    "why_file_unreadable": (
        "A log file cannot be read to its end: the log of this service says which one.",
        "Eine Logdatei ist nicht bis zum Ende lesbar: welche, steht im Log dieses Dienstes.",
    ),
    "why_lines_unreadable": (
        "Some lines of the logs could not be read.",
        "Einige Zeilen der Logs waren nicht lesbar.",
    ),
    "why_not_stored_yet": (
        "Not all lines are in the store yet: the log of this service says more.",
        "Noch sind nicht alle Zeilen im Speicher: Näheres im Log dieses Dienstes.",
    ),
    "why_not_understood": (
        "There are lines that may be about it and were not understood.",
        "Es gibt Zeilen, die davon handeln können und nicht verstanden wurden.",
    ),
    "why_not_counted": (
        "An earlier version or Logstash stored some lines of this time: they, or their reasons, "
        "are missing.",
        "Einige Zeilen dieser Zeit hat eine frühere Version oder Logstash gespeichert: sie oder "
        "ihre Gründe fehlen hier.",
    ),
    "why_store_unavailable": (
        "The store stopped answering meanwhile: please ask again.",
        "Der Speicher antwortete zwischendurch nicht mehr: bitte noch einmal fragen.",
    ),
    "why_too_many_lines": (
        "There are too many lines to look at all of them: please ask for less time.",
        "Es sind zu viele Zeilen, um alle anzusehen: bitte nach weniger Zeit fragen.",
    ),
    "why_limit": ("There are more: narrow the question.", "Es gibt mehr: bitte genauer fragen."),
    "masked": (
        "Names are masked here: ask for a whole address, @domain or name@, or for text that is "
        "shown.",
        "Namen sind hier verdeckt: gefragt werden kann nach einer ganzen Adresse, @Domain oder "
        "Name@, oder nach Text, der angezeigt wird.",
    ),
    "no_logs": ("There are no logs yet.", "Es gibt noch keine Logs."),
    "no_logs_then": (
        "There are no logs for that time. They reach from {first} to {last}.",
        "Für diese Zeit gibt es keine Logs. Sie reichen von {first} bis {last}.",
    ),
    "logs_span": (
        "The logs reach from {first} to {last}.",
        "Die Logs reichen von {first} bis {last}.",
    ),
}
