"""What is on several pages, and the live list."""

from collections.abc import Mapping
from typing import Final

TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    "title": ("Mail tracing", "Mailverfolgung"),
    # How a date is written, and how where its year goes without saying.
    "date": ("%Y-%m-%d", "%d.%m.%Y"),
    "day": ("%m-%d", "%d.%m."),
    "skip": ("Skip to the results", "Zu den Ergebnissen springen"),
    "status": ("Verdict", "Ergebnis"),
    "any": ("any", "alle"),
    "type": ("Type", "Typ"),
    "results": ("Results", "Ergebnisse"),
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
    "now": ("now", "jetzt"),
    "span_1h": ("1 hour", "1 Stunde"),
    "span_2d": ("2 days", "2 Tage"),
    "any_time": ("any time", "beliebig"),
    "times_in": ("Times are in the zone {zone}.", "Zeiten gelten in der Zone {zone}."),
    "received": ("Received", "Angenommen"),
    "decided": ("Decided", "Entschieden"),
    "size": ("Size", "Größe"),
    "attempts": ("Attempts", "Versuche"),
    "previous": ("Previous", "Zurück"),
    "next": ("Next", "Weiter"),
    "as_json": ("as JSON", "als JSON"),
    "back": ("Back to the search", "Zurück zur Suche"),
    "language": ("Deutsch", "English"),
    "pages": ("Pages", "Seiten"),
    "span_24h": ("24 hours", "24 Stunden"),
    "span_7d": ("7 days", "7 Tage"),
    "span_30d": ("30 days", "30 Tage"),
    "show": ("Show", "Anzeigen"),
}
