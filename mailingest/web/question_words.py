"""A question -> the same in words of its reader; pure."""

from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Final, get_args

from mailingest.escaping import escape_terminal
from mailingest.trace.story import Verdict
from mailingest.web.questions import QUICK_SPANS
from mailingest.web.texts import Texts

_BEFORE_TIME: Final = ("to", "from")
_BEHIND_TIME: Final = (
    *("queue_id", "message_id", "client", "sasl_user", "relay", "host", "text", "type"),
)


def in_words(
    form: Mapping[str, str], texts: Texts, zone: tzinfo, *, has_time: bool = True
) -> list[tuple[str, str]]:
    """What is asked for, as names and values; control characters are escaped."""
    words = [
        *((texts(name), form[name]) for name in _BEFORE_TIME),
        *(_time(form, texts, zone) if has_time else ()),
        (texts("status"), _verdicts(form["status"], texts)),
        *((texts(name), form[name]) for name in _BEHIND_TIME),
    ]
    return [(name, escape_terminal(value)) for name, value in words if value]


def _time(form: Mapping[str, str], texts: Texts, zone: tzinfo) -> list[tuple[str, str]]:
    since, until = (
        _exact(form[name] or form[f"{name}_at"], texts, zone) for name in ("since", "until")
    )
    span = form["span"]
    if since and until:
        time = texts("time_between", since=since, until=until)
    elif since or until:
        time = texts("time_since", since=since) if since else texts("time_until", until=until)
    else:
        time = texts(f"span_{span}") if span in QUICK_SPANS else span or texts("any_time")
    return [(texts("when"), time)]


def _exact(text: str, texts: Texts, zone: tzinfo) -> str:
    """A time as it was typed, but for those that links and pickers write."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return text
    if "T" not in text:
        return text
    local = time.astimezone(zone) if time.tzinfo is not None else time
    return f"{local:{texts('date')} {'%H:%M:%S' if local.second else '%H:%M'}}"


def _verdicts(status: str, texts: Texts) -> str:
    known = get_args(Verdict)
    names = filter(None, status.split(","))
    return ", ".join(texts(f"verdict_{one}") if one in known else one for one in names)
