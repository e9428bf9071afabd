"""The page of one mail."""

from collections.abc import Mapping
from typing import Final

TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    "sasl_sender": ("Sender at login (AUTH=)", "Absender bei der Anmeldung (AUTH=)"),
    "time_between": ("{since} to {until}", "{since} bis {until}"),
    "time_since": ("since {since}", "seit {since}"),
    "time_until": ("until {until}", "bis {until}"),
    "recipient_unknown": ("recipient not in the logs", "Empfänger steht nicht in den Logs"),
    "sender_unknown": ("sender not in the logs", "Absender steht nicht in den Logs"),
    "bounce_sender": ("<> (a notification)", "<> (eine Benachrichtigung)"),
    "for": ("Originally for", "Ursprünglich für"),
    "said": ("The answer was", "Die Antwort war"),
    "reply_means": ("In plain words", "In einfachen Worten"),
    "there": ("Queue ID over there", "Queue-ID dort"),
    "chain": ("Way through the queues", "Weg durch die Queues"),
    "refused_before": (
        "Refused for the time being, and sent again",
        "Vorläufig abgelehnt und erneut gesendet",
    ),
    "notification": ("Bounce message", "Unzustellbarkeitsmeldung"),
    "encrypted": ("Encryption", "Verschlüsselung"),
    "proof": ("The line that proves it", "Die Zeile, die es belegt"),
    "own_lines": ("Log lines of this recipient", "Logzeilen zu diesem Empfänger"),
    "mail_lines": ("Log lines of the mail", "Logzeilen zur Mail"),
    "sending_server": ("Sending server", "Einliefernder Server"),
    "the_mail": ("The mail", "Die Mail"),
    "all_recipients": ("{count} recipients", "{count} Empfänger"),
    "find_recipient": ("A recipient of this mail", "Ein Empfänger dieser Mail"),
    "no_such_recipient": (
        "No line tells of this recipient of the mail. A whole address is needed.",
        "Keine Zeile handelt von diesem Empfänger der Mail. Nötig ist eine ganze Adresse.",
    ),
    "of_all": ("{first}–{last} of {count}", "{first}–{last} von {count}"),
    "times": ("Times", "Anzahl"),
    "copy": ("Copy", "Kopieren"),
    "copied": ("Copied", "Kopiert"),
    "waiting": ("waiting for the next try", "Warten auf den nächsten Versuch"),
    "on_hold": ("on hold", "angehalten"),
    "timeline": ("Time line", "Zeitverlauf"),
    "link": ("Link to this mail", "Link zu dieser Mail"),
    "before_qmgr": ("before the queue", "vor der Queue"),
    "in_qmgr": ("in the queue", "in der Queue"),
    "conn_setup": ("connecting", "Verbindungsaufbau"),
    "transmission": ("sending", "Übertragung"),
}
