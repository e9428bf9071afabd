"""Every word of the pages, in English and German."""

from collections.abc import Mapping
from typing import Final

LANGUAGES: Final = ("en", "de")

_TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    "title": ("Mail tracing", "Mailverfolgung"),
    # How a date is written, and how where its year goes without saying.
    "date": ("%Y-%m-%d", "%d.%m.%Y"),
    "day": ("%m-%d", "%d.%m."),
    "skip": ("Skip to the results", "Zu den Ergebnissen springen"),
    "question": ("What became of a mail?", "Was wurde aus einer Mail?"),
    "change": ("Change", "Ändern"),
    "to": ("Recipient", "Empfänger"),
    "to_hint": ("Address, @domain, or part of it", "Adresse, @Domain oder ein Teil davon"),
    "from": ("Sender", "Absender"),
    "from_hint": ("Address, @domain, part of it, or <>", "Adresse, @Domain, ein Teil oder <>"),
    "since": ("From (time)", "Von (Zeit)"),
    "since_hint": (
        "2d, yesterday, 15:40, 2026-11-24",
        "3 Tage, gestern, 15:40, 24.11.2026 15:40",
    ),
    "until": ("Until (time)", "Bis (Zeit)"),
    "more": ("More criteria", "Weitere Kriterien"),
    "queue_id": ("Queue ID (ours or the other server's)", "Queue-ID (unsere oder die andere)"),
    "message_id": ("Message-ID", "Message-ID"),
    "client": ("Sending server (name or address)", "Einliefernder Server (Name oder Adresse)"),
    "sasl_user": ("Logged in as", "Angemeldet als"),
    "sasl_sender": ("Sender at login (AUTH=)", "Absender bei der Anmeldung (AUTH=)"),
    "relay": ("Receiving server", "Annehmender Server"),
    "text": ("Text in a log line", "Text in einer Logzeile"),
    "status": ("Verdict", "Ergebnis"),
    "any": ("any", "alle"),
    "type": ("Type", "Typ"),
    "unknown_type": (
        "There is no such type; there are {types}.",
        "Es gibt keinen solchen Typ; es gibt {types}.",
    ),
    "search": ("Search", "Suchen"),
    "results": ("Results", "Ergebnisse"),
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
    "live": ("Live", "Live"),
    "live_about": (
        "What became of mails, as it is decided, newest first.",
        "Was aus Mails wird, sobald es feststeht, neueste zuerst.",
    ),
    "live_nothing": (
        "Nothing was decided in the last ten minutes.",
        "In den letzten zehn Minuten hat sich nichts entschieden.",
    ),
    "live_on": ("The list goes on by itself.", "Die Liste läuft von selbst weiter."),
    "live_off": ("The connection is lost; trying again.", "Verbindung verloren; neuer Versuch."),
    "live_paused": ("The list stands still.", "Die Liste steht."),
    "live_reloads": (
        "The page is loaded anew every 10 seconds.",
        "Die Seite wird alle 10 Sekunden neu geladen.",
    ),
    "pause": ("Pause", "Anhalten"),
    "resume": ("Go on", "Weiter"),
    "go_on": ("Go on searching from there", "Von dort weitersuchen"),
    "searching": (
        "Searching. It may take a while; what is found appears here.",
        "Die Suche läuft. Es kann etwas dauern; was gefunden wird, erscheint hier.",
    ),
    "not_all": ("There may be more mails: {why}", "Es kann mehr Mails geben: {why}"),
    "now": ("now", "jetzt"),
    "span_1h": ("1 hour", "1 Stunde"),
    "span_2d": ("2 days", "2 Tage"),
    "any_time": ("any time", "beliebig"),
    "when": ("Time", "Zeit"),
    "time_between": ("{since} to {until}", "{since} bis {until}"),
    "time_since": ("since {since}", "seit {since}"),
    "time_until": ("until {until}", "bis {until}"),
    "exact_time": ("From, until", "Von, bis"),
    "or_pick": ("or pick", "oder wählen"),
    "times_in": ("Times are in the zone {zone}.", "Zeiten gelten in der Zone {zone}."),
    "other_times": ("Search another time", "Andere Zeit durchsuchen"),
    "pages_of_list": ("Pages of the list", "Seiten der Liste"),
    "first_page": ("First page", "Erste Seite"),
    "previous_page": ("Previous page", "Vorige Seite"),
    "next_page": ("Next page", "Nächste Seite"),
    "order_newest": ("newest first", "neueste zuerst"),
    "order_oldest": ("oldest first", "älteste zuerst"),
    "order": ("Order", "Reihenfolge"),
    "page_as_json": ("this page as JSON", "diese Seite als JSON"),
    "all_as": ("All as", "Alle als"),
    "host": ("Mail server (host)", "Mailserver (Host)"),
    "subject": ("Subject", "Betreff"),
    "recent": ("Recent questions", "Letzte Fragen"),
    "recent_here": ("They are kept in this browser only.", "Sie bleiben nur in diesem Browser."),
    "forget": ("Forget them", "Vergessen"),
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
        "It took too long and was ended: there may be more than is shown, and more may have "
        "happened to what is. Please ask for less time or for a whole address.",
        "Es dauerte zu lange und wurde beendet: Es kann mehr geben, als gezeigt wird, und mit dem "
        "Gezeigten kann mehr geschehen sein. Bitte nach weniger Zeit oder einer ganzen Adresse "
        "fragen.",
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
    "received": ("Received", "Angenommen"),
    "decided": ("Decided", "Entschieden"),
    "recipient_unknown": ("recipient not in the logs", "Empfänger steht nicht in den Logs"),
    "sender_unknown": ("sender not in the logs", "Absender steht nicht in den Logs"),
    "bounce_sender": ("<> (a notification)", "<> (eine Benachrichtigung)"),
    "for": ("Originally for", "Ursprünglich für"),
    "size": ("Size", "Größe"),
    "said": ("The answer was", "Die Antwort war"),
    "reply_means": ("In plain words", "In einfachen Worten"),
    "there": ("Queue ID over there", "Queue-ID dort"),
    "chain": ("Way through the queues", "Weg durch die Queues"),
    "attempts": ("Attempts", "Versuche"),
    "refused_before": (
        "Refused for the time being, and sent again",
        "Vorläufig abgelehnt und erneut gesendet",
    ),
    "notification": ("Bounce message", "Unzustellbarkeitsmeldung"),
    "encrypted": ("Encryption", "Verschlüsselung"),
    "proof": ("The line that proves it", "Die Zeile, die es belegt"),
    "own_lines": ("Log lines of this recipient", "Logzeilen zu diesem Empfänger"),
    "mail_lines": ("Log lines of the mail", "Logzeilen zur Mail"),
    "the_mail": ("The mail", "Die Mail"),
    "all_recipients": ("{count} recipients", "{count} Empfänger"),
    "find_recipient": ("A recipient of this mail", "Ein Empfänger dieser Mail"),
    "no_such_recipient": (
        "No line tells of this recipient of the mail. A whole address is needed.",
        "Keine Zeile handelt von diesem Empfänger der Mail. Nötig ist eine ganze Adresse.",
    ),
    "of_all": ("{first}–{last} of {count}", "{first}–{last} von {count}"),
    "previous": ("Previous", "Zurück"),
    "next": ("Next", "Weiter"),
    "times": ("Times", "Anzahl"),
    "copy": ("Copy", "Kopieren"),
    "copied": ("Copied", "Kopiert"),
    "waiting": ("waiting for the next try", "Warten auf den nächsten Versuch"),
    "on_hold": ("on hold", "angehalten"),
    "timeline": ("Time line", "Zeitverlauf"),
    "link": ("Link to this mail", "Link zu dieser Mail"),
    "as_json": ("as JSON", "als JSON"),
    "back": ("Back to the search", "Zurück zur Suche"),
    "error_400": (
        "This question cannot be understood.",
        "Diese Frage ist nicht zu verstehen.",
    ),
    "error_500": (
        "Something went wrong here. It is in the log.",
        "Hier ist etwas schiefgegangen. Es steht im Log.",
    ),
    "invalid_time": (
        "“{text}” is not a valid time. Write it as one of {forms}.",
        "„{text}“ ist keine gültige Zeit. Möglich sind 30m, 12 Stunden, 7 Tage, heute, gestern, "
        "15:40, 24.11.2026, 24.11.2026 15:40.",
    ),
    "invalid_order": (
        "The end has to be later than the beginning.",
        "Das Ende muss nach dem Anfang liegen.",
    ),
    "invalid_cursor": (
        "This page of the list does not belong to the question. Please search anew.",
        "Diese Seite der Liste gehört nicht zur Frage. Bitte neu suchen.",
    ),
    "unknown_verdict": ("There is no verdict “{text}”.", "Es gibt kein Ergebnis „{text}“."),
    "invalid_zone": (
        "“{text}” is not a time zone. Write it as Europe/Berlin or UTC.",
        "„{text}“ ist keine Zeitzone. Möglich sind zum Beispiel Europe/Berlin oder UTC.",
    ),
    "unknown_order": (
        "The order must be one of {orders}.",
        "Die Reihenfolge muss eine von {orders} sein.",
    ),
    "unknown_span": (
        "The span must be one of {spans}.",
        "Der Zeitraum muss einer von {spans} sein.",
    ),
    "too_long": (
        "A criterion has {most} characters at most.",
        "Ein Kriterium hat höchstens {most} Zeichen.",
    ),
    "too_many_days": (
        "The overview shows {most} days at most.",
        "Der Überblick zeigt höchstens {most} Tage.",
    ),
    "error_host": (
        "The request has to name the server once, in the header Host.",
        "Die Anfrage muss den Server im Header Host genau einmal nennen.",
    ),
    "error_421": (
        "This page is not known under the name in its address. Whoever runs mailingest lists its "
        "names in web.server_names.",
        "Unter dem Namen in der Adresszeile ist diese Seite nicht bekannt. Wer mailingest "
        "betreibt, trägt ihre Namen in web.server_names ein.",
    ),
    "error_user": (
        "The proxy has to name one user, once. Whoever runs mailingest looks at web.proxy_header.",
        "Der Proxy muss genau einen Namen nennen, und einmal. Wer mailingest betreibt, sieht bei "
        "web.proxy_header nach.",
    ),
    "error_origin": (
        "Another website asked for this. Please open the page itself.",
        "Eine andere Website hat danach gefragt. Bitte die Seite selbst öffnen.",
    ),
    "error_401": ("Please log in.", "Bitte anmelden."),
    "error_404": ("There is no such page.", "Diese Seite gibt es nicht."),
    "error_405": ("Nothing can be changed here.", "Hier lässt sich nichts ändern."),
    "error_429": (
        "Too many questions. Please wait a minute.",
        "Zu viele Fragen. Bitte eine Minute warten.",
    ),
    "error_busy": (
        "Other questions are still being answered. Please try again in a minute.",
        "Andere Fragen sind noch in Arbeit. Bitte in einer Minute noch einmal versuchen.",
    ),
    "error_503": (
        "The store cannot be asked at the moment. Please try again later.",
        "Der Speicher ist gerade nicht erreichbar. Bitte später noch einmal versuchen.",
    ),
    "language": ("Deutsch", "English"),
    "before_qmgr": ("before the queue", "vor der Queue"),
    "in_qmgr": ("in the queue", "in der Queue"),
    "conn_setup": ("connecting", "Verbindungsaufbau"),
    "transmission": ("sending", "Übertragung"),
    "verdict_delivered": ("Delivered", "Zugestellt"),
    "verdict_handed_over": ("Handed over", "Übergeben"),
    "verdict_pending": ("Pending", "In Zustellung"),
    "verdict_bounced": ("Bounced", "Unzustellbar"),
    "verdict_expired": ("Expired", "Abgelaufen"),
    "verdict_rejected": ("Rejected", "Abgewiesen"),
    "verdict_discarded": ("Discarded", "Verworfen"),
    "verdict_held": ("Held", "Angehalten"),
    "verdict_deleted": ("Deleted", "Gelöscht"),
    "verdict_not_accepted": ("Not accepted", "Nicht angenommen"),
    "verdict_probe": ("Address probe", "Adressprüfung"),
    "verdict_unknown": ("Unknown", "Unbekannt"),
    "meaning_delivered": (
        "A mail store of this system took it.",
        "Ein Mailspeicher dieses Systems hat sie angenommen.",
    ),
    "meaning_handed_over": (
        "The named server said yes to it. What it did then is not in these logs.",
        "Der genannte Server hat sie angenommen. Was er dann tat, steht nicht in diesen Logs.",
    ),
    "meaning_pending": (
        "It is still in the queue and will be tried again.",
        "Sie ist noch in der Queue und wird wieder versucht.",
    ),
    "meaning_bounced": (
        "It cannot be delivered. The sender is notified.",
        "Sie ist nicht zustellbar. Der Absender wird benachrichtigt.",
    ),
    "meaning_expired": (
        "It could not be delivered in time. The sender is notified.",
        "Sie war nicht rechtzeitig zustellbar. Der Absender wird benachrichtigt.",
    ),
    "meaning_rejected": (
        "It was refused before this system took charge of it. The sending server knows.",
        "Sie wurde abgewiesen, bevor dieses System sie annahm. Der einliefernde Server weiß es.",
    ),
    "meaning_discarded": (
        "It was thrown away or quarantined. The sender is not notified.",
        "Sie wurde verworfen oder in Quarantäne gestellt. Der Absender erfährt es nicht.",
    ),
    "meaning_held": (
        "It was put on hold; no later line says that it was released or deleted.",
        "Sie wurde angehalten; keine spätere Zeile sagt, dass sie freigegeben oder gelöscht wurde.",
    ),
    "meaning_deleted": ("An operator deleted it.", "Jemand vom Betrieb hat sie gelöscht."),
    "meaning_not_accepted": (
        "The session ended before this system took charge of it.",
        "Die Verbindung endete, bevor dieses System sie annahm.",
    ),
    "meaning_probe": (
        "Only the address was checked. There is no mail.",
        "Nur die Adresse wurde geprüft. Es gibt keine Mail.",
    ),
    "meaning_unknown": ("The logs do not say.", "Die Logs sagen es nicht."),
    "note_being_tried": (
        "A try has begun, and no line tells yet how it ended.",
        "Ein Versuch hat begonnen, und noch sagt keine Zeile, wie er endete.",
    ),
    "note_no_end": (
        "It was tried, and no line tells how that ended: it may still be in the queue or not.",
        "Es gab einen Versuch, und keine Zeile sagt, wie er endete: Sie kann noch in der "
        "Queue sein oder nicht.",
    ),
    "note_only_an_operator": (
        "Its queue file is damaged and kept aside: only an operator can help.",
        "Ihre Queue-Datei ist beschädigt und beiseite gelegt: Nur der Betrieb kann helfen.",
    ),
    "note_not_told_anew": (
        "It was requeued, and no line tells the new queue ID.",
        "Sie wurde neu eingereiht, und keine Zeile nennt die neue Queue-ID.",
    ),
    "note_out_of_order": (
        "Its lines are out of order: whether it was taken is not told.",
        "Ihre Zeilen sind durcheinander: Ob sie angenommen wurde, ist nicht zu erkennen.",
    ),
    "note_no_recipient": (
        "It was removed from the queue, and no line tells of any recipient.",
        "Sie hat die Queue verlassen, und keine Zeile nennt einen Empfänger.",
    ),
    "note_undecided": (
        "The lines end before anything was decided.",
        "Die Zeilen enden, bevor etwas entschieden war.",
    ),
    "note_circle": (
        "It goes round in a circle.",
        "Sie läuft im Kreis.",
    ),
    "note_forwarded": (
        "It was forwarded, and no line tells of the new queue ID.",
        "Sie wurde weitergeleitet, und keine Zeile nennt die neue Queue-ID.",
    ),
    "note_passed_on": (
        "It was passed on within this system, and no line tells how it went on.",
        "Sie wurde innerhalb dieses Systems weitergegeben, und keine Zeile sagt, wie es "
        "weiterging.",
    ),
    "note_no_recipient_end": (
        "It was removed from the queue, and no line tells how it ended for this recipient.",
        "Sie hat die Queue verlassen, und keine Zeile sagt, wie es für diesen Empfänger ausging.",
    ),
    "note_passed_over": (
        "Others were tried again, and no line tells of this recipient.",
        "Andere wurden wieder versucht, und keine Zeile nennt diesen Empfänger.",
    ),
    "note_silent": (
        "It should have been tried again, but no line tells of it since {since}: an operator "
        "may have deleted all mail.",
        "Sie hätte wieder versucht werden sollen, doch seit {since} nennt sie keine Zeile: "
        "Vielleicht wurden im Betrieb alle Mails gelöscht.",
    ),
    "note_on_hold": (
        "On hold since {since}; no later line says that it was released or deleted.",
        "Angehalten seit {since}; keine spätere Zeile sagt, dass sie freigegeben oder "
        "gelöscht wurde.",
    ),
    "note_to_be_held": (
        "It was to be held, and no line tells whether it was taken.",
        "Sie sollte angehalten werden, und keine Zeile sagt, ob sie angenommen wurde.",
    ),
    "note_to_be_discarded": (
        "It was to be discarded, and no line tells whether it was taken.",
        "Sie sollte verworfen werden, und keine Zeile sagt, ob sie angenommen wurde.",
    ),
    "note_sender_untold": (
        "It cannot be delivered. The sender could not be told yet, and it stays in the queue.",
        "Sie ist nicht zustellbar. Der Absender war noch nicht zu benachrichtigen, und sie "
        "bleibt in der Queue.",
    ),
    "note_nobody_told": (
        "It cannot be delivered, and nobody is told: it is a notification itself.",
        "Sie ist nicht zustellbar, und niemand erfährt es: Sie ist selbst eine Benachrichtigung.",
    ),
    "note_untold": (
        "No line tells what became of it.",
        "Keine Zeile sagt, was aus ihr wurde.",
    ),
    "note_taken_away": (
        "No line tells of {count} more recipients; a milter may have taken them away.",
        "Von {count} weiteren Empfängern sagt keine Zeile etwas; vielleicht hat ein Milter "
        "sie entfernt.",
    ),
    "note_not_there": (
        "No line of {queue_id} tells of this recipient.",
        "Keine Zeile von {queue_id} nennt diesen Empfänger.",
    ),
    "temporary": ("for the time being", "vorläufig"),
    "pages": ("Pages", "Seiten"),
    "overview": ("Overview", "Überblick"),
    "overview_question": ("What happened to all mail?", "Was geschah mit allen Mails?"),
    "span": ("Time", "Zeitraum"),
    "span_24h": ("24 hours", "24 Stunden"),
    "span_7d": ("7 days", "7 Tage"),
    "span_30d": ("30 days", "30 Tage"),
    "show": ("Show", "Anzeigen"),
    "shown_span": ("Shown: {first} to {last}.", "Gezeigt: {first} bis {last}."),
    "logs_span": (
        "The logs reach from {first} to {last}.",
        "Die Logs reichen von {first} bis {last}.",
    ),
    "nothing_counted": (
        "Nothing of that time is counted. The logs reach from {first} to {last}.",
        "Aus dieser Zeit ist nichts gezählt. Die Logs reichen von {first} bis {last}.",
    ),
    "kind_received": ("Received", "Angenommen"),
    "kind_sent": ("Sent", "Zugestellt"),
    "kind_deferred": ("Deferred", "Verzögert"),
    "kind_bounced": ("Bounced", "Unzustellbar"),
    "kind_discarded": ("Discarded", "Verworfen"),
    "kind_rejected": ("Rejected", "Abgewiesen"),
    "chart_arrivals": ("Received and rejected", "Angenommen und abgewiesen"),
    "chart_deliveries": ("Delivery attempts", "Zustellversuche"),
    "chart_rates": ("Shares", "Anteile"),
    "chart_about": (
        "{names}, from {first} to {last}; the table has the numbers.",
        "{names}, von {first} bis {last}; die Zahlen stehen in der Tabelle.",
    ),
    "rate_deferred": ("deferred, of attempts", "verzögert, von Versuchen"),
    "rate_bounced": ("bounced, of attempts", "unzustellbar, von Versuchen"),
    "rate_rejected": ("rejected, of what came", "abgewiesen, vom Eingang"),
    "as_table": ("Numbers", "Zahlen"),
    "time": ("Time", "Zeit"),
    "reasons_deferred": ("Why mail was deferred", "Warum Mails verzögert wurden"),
    "reasons_bounced": ("Why mail bounced", "Warum Mails unzustellbar waren"),
    "reasons_rejected": ("Why mail was rejected", "Warum Mails abgewiesen wurden"),
    "reason": ("Reason", "Grund"),
    "other_reasons": ("other reasons, or none given", "andere Gründe, oder keiner genannt"),
    "lines_counted": ("Log lines", "Logzeilen"),
    "weekdays": ("Mon Tue Wed Thu Fri Sat Sun", "Mo Di Mi Do Fr Sa So"),
    "name": ("Who or where", "Wer oder wo"),
    "volume": ("Volume", "Umfang"),
    "top_sender": ("Senders", "Absender"),
    "top_sender_domain": ("Domains of senders", "Domains der Absender"),
    "top_sasl_user": ("Users who logged in", "Angemeldete Benutzer"),
    "top_recipient": ("Recipients", "Empfänger"),
    "top_recipient_domain": ("Domains of recipients", "Domains der Empfänger"),
    "top_client": ("Sending servers", "Einliefernde Server"),
    "top_relay": ("Receiving servers", "Annehmende Server"),
    "top_host": ("Hosts", "Rechner"),
    "slow_recipient_domain": ("Slow domains", "Langsame Domains"),
    "slow_relay": ("Slow servers", "Langsame Server"),
    "slow_note": (
        "So many percent of the deliveries took less. Only where there are at least {fewest}.",
        "So viel Prozent der Zustellungen dauerten kürzer. Nur, wo es mindestens {fewest} sind.",
    ),
    "short_by": (
        "Rare names are left out; each number may be short by up to {count}.",
        "Seltene Namen fehlen; jede Zahl kann um bis zu {count} zu klein sein.",
    ),
    "what_counts": ("What is counted", "Was gezählt wird"),
    "counted_lines": (
        "Log lines are counted, not mails: a mail to three recipients is sent three times, and "
        "each attempt that failed for the time being counts as deferred. Rejected are also "
        "connections and recipients of which no mail came to be.",
        "Gezählt werden Logzeilen, nicht Mails: eine Mail an drei Empfänger wird dreimal "
        "zugestellt, und jeder vorläufig gescheiterte Versuch zählt als verzögert. Abgewiesen sind "
        "auch Verbindungen und Empfänger, aus denen keine Mail wurde.",
    ),
    "counted_here": (
        "A mail that passes several servers of this system counts on each of them. What went to a "
        "filter or another queue on the same machine ({passed_on} times) is not counted as sent, "
        "and what came back from there not as received; nor is what programs on the machine hand "
        "in by SMTP without a login.",
        "Eine Mail, die über mehrere Server dieses Systems geht, zählt auf jedem. Was an einen "
        "Filter oder eine andere Queue auf derselben Maschine ging ({passed_on}-mal), zählt nicht "
        "als zugestellt, und was von dort zurückkam, nicht als angenommen; ebenso wenig, was "
        "Programme auf der Maschine ohne Anmeldung per SMTP einliefern.",
    ),
    "counted_reasons": (
        "In reasons, * stands for what differs from line to line: addresses, servers, numbers. "
        "A reason leads to mails of which a line has its longest piece.",
        "In Gründen steht * für das, was sich von Zeile zu Zeile unterscheidet: Adressen, Server, "
        "Zahlen. Ein Grund führt zu Mails, von denen eine Zeile sein längstes Stück enthält.",
    ),
}


class Texts:
    """The words of one language; `texts("key", name=value)` fills in values."""

    def __init__(self, language: str) -> None:
        self.language = language if language in LANGUAGES else LANGUAGES[0]
        self.other = LANGUAGES[1 - LANGUAGES.index(self.language)]
        self._place = LANGUAGES.index(self.language)

    def __call__(self, key: str, **values: object) -> str:
        return _TEXTS[key][self._place].format(**values) if values else _TEXTS[key][self._place]
