"""What became of a mail, and how that is known."""

from collections.abc import Mapping
from typing import Final

TEXTS: Final[Mapping[str, tuple[str, str]]] = {
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
}
