"""What is wrong with a question or a request."""

from collections.abc import Mapping
from typing import Final

TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    "unknown_type": (
        "There is no such type; there are {types}.",
        "Es gibt keinen solchen Typ; es gibt {types}.",
    ),
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
}
