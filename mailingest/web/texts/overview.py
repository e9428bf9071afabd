"""The overview."""

from collections.abc import Mapping
from typing import Final

TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    "overview": ("Overview", "Überblick"),
    "overview_question": ("What happened to all mail?", "Was geschah mit allen Mails?"),
    "span": ("Time", "Zeitraum"),
    "shown_span": ("Shown: {first} to {last}.", "Gezeigt: {first} bis {last}."),
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
