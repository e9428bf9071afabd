"""What was typed into a form of the pages -> criteria; pure."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, Protocol
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from mailingest.errors import QuestionError
from mailingest.stores.criteria import Criteria
from mailingest.trace.cursor import Cursor, read_cursor
from mailingest.trace.paging import Paging
from mailingest.trace.questions import Question, read_criteria
from mailingest.trace.times import read_time
from mailingest.web.texts import Texts

# Longest line of RFC 5321, which an address or a reply cannot exceed.
LONGEST_VALUE: Final = 1000

FIELDS: Final = (
    "to",
    "from",
    "span",
    "since",
    "since_at",
    "until",
    "until_at",
    "status",
    "queue_id",
    "message_id",
    "client",
    "sasl_user",
    "relay",
    "host",
    "text",
    "type",
    "order",
    "tz",
)
"""The fields of the search form; ``status`` may have several values.

A time that is typed (``since``, ``until``) goes before one that is picked (``since_at``,
``until_at``), and both go before ``span``, one of `QUICK_SPANS` or "".
"""

# How a question is asked, not what it asks for.
_MANNER: Final = frozenset({"order", "tz"})

QUICK_SPANS: Final[Mapping[str, timedelta]] = {
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "2d": timedelta(days=2),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
"""The times up to now that a click chooses."""

DEFAULT_SPAN: Final = "2d"
"""What an empty form proposes.  A link without a time asks for all of it, as ever."""

ORDERS: Final = ("newest", "oldest")
"""The orders of the list; the first one is the default."""


class Query(Protocol):
    """The query of a URL."""

    def get(self, name: str, default: str, /) -> str: ...
    def getall(self, name: str, default: list[str], /) -> list[str]: ...


def invalid(reason: str, **values: object) -> QuestionError:
    """The error of a question that only the pages refuse; ``reason`` is a key of `Texts`."""
    return QuestionError(Texts("en")(reason, **values), reason, **values)


def form_values(query: Query) -> dict[str, str]:
    """What is in each field of the search form; empty ones ask for nothing.

    Several verdicts are joined by commas.
    """
    form = {name: query.get(name, "").strip() for name in FIELDS}
    form["status"] = ",".join(filter(None, map(str.strip, query.getall("status", []))))
    return form


def asks_for_something(form: Mapping[str, str]) -> bool:
    """Whether a form asks a question: anything but how it is to be answered."""
    return any(value for name, value in form.items() if name not in _MANNER)


def asked_before(query: Mapping[str, str]) -> dict[str, str]:
    """The question in the ``back`` of a page's query, as the query of a link to the search.

    It comes from the browser: only the fields of the form are taken.
    """
    try:
        pairs = dict(parse_qsl(query.get("back", "")[: 20 * LONGEST_VALUE], max_num_fields=50))
    except ValueError:
        return {}
    return {name: pairs[name] for name in (*FIELDS, "page") if name in pairs}


def reader_zone(name: str, default: tzinfo) -> tzinfo:
    """The zone of an IANA name, "" is the server's; raises QuestionError."""
    if not name:
        return default
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError):
        raise invalid("invalid_zone", text=name[:LONGEST_VALUE]) from None


def chosen_zone(query: Mapping[str, str]) -> str:
    """The name of the zone in a page's query; "" also for one that is none."""
    name = query.get("tz", "").strip()
    try:
        reader_zone(name, UTC)
    except QuestionError:
        return ""
    return name


def zone_of(query: Mapping[str, str], default: tzinfo) -> tzinfo:
    """The zone of a page that asks for no time: one that is none is left out."""
    return reader_zone(chosen_zone(query), default)


def zone_name(zone: tzinfo, now: datetime) -> str:
    """What a zone is called: by its place, if it has one."""
    name = str(zone)
    return name if "/" in name or name == "UTC" else now.astimezone(zone).tzname() or str(UTC)


def typed_time(time: datetime, zone: tzinfo, date: str) -> str:
    """A time, to the second, as a reader would type it into the form, for links that fill it in.

    ``date`` is how the reader's language writes a day.  Only an hour that a zone has twice needs
    another form to be the same time when it is read.
    """
    local = time.astimezone(zone).replace(microsecond=0)
    text = f"{local:{date} %H:%M:%S}".removesuffix(":00")
    read = read_time(text, now=local, zone=zone)
    return text if read.astimezone(UTC) == local.astimezone(UTC) else local.isoformat()


def read_question(form: Mapping[str, str], *, now: datetime, zone: tzinfo) -> Criteria:
    """The criteria of a search form; raises QuestionError."""
    if any(len(value) > LONGEST_VALUE for value in form.values()):
        raise invalid("too_long", most=LONGEST_VALUE)
    since, until = (form[name] or form[f"{name}_at"] for name in ("since", "until"))
    if form["span"] and not (since or until):
        if form["span"] not in QUICK_SPANS:
            raise invalid("unknown_span", spans=", ".join(QUICK_SPANS))
        since = (now - QUICK_SPANS[form["span"]]).astimezone(UTC).isoformat()
    question = Question(
        sender=form["from"] or None,
        recipient=form["to"] or None,
        queue_id=form["queue_id"] or None,
        message_id=form["message_id"] or None,
        client=form["client"] or None,
        sasl_user=form["sasl_user"] or None,
        relay=form["relay"] or None,
        text=form["text"] or None,
        host=form["host"] or None,
        since=since or None,
        until=until or None,
        status=[form["status"]],
    )
    return read_criteria(question, now=now, zone=zone)


def read_paging(form: Mapping[str, str], page: str, *, limit: int) -> Paging:
    """Which page of the list is asked for; ``page`` is the text of a cursor, "" the first one.

    Raises QuestionError.
    """
    order = form["order"] or ORDERS[0]
    if order not in ORDERS:
        raise invalid("unknown_order", orders=", ".join(ORDERS))
    cursor: Cursor | None = read_cursor(page) if page else None
    return Paging(limit, order == "oldest", cursor)
