"""What is in the store against what was accepted, and against what was in damaged records."""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

from benchmarks.fault_load import Sender

Event = dict[str, Any]

_LINE: Final = re.compile(rb"<22>\S+ (\S+) postfix/\w+\[100\]: (.*)", re.DOTALL)


def compare(
    events: Sequence[Event], senders: Sequence[Sender], lost: Sequence[bytes]
) -> dict[str, int]:
    """The figures; ``lost`` are the frames of damaged records, which need not be in the store.

    ``missing`` are lines that are not, though they were in no such record.
    """
    missing = surplus = not_enriched = excused = 0
    # Lines that were cut by the end of their connection, some before the name of the host.
    hosts = [sender.host for sender in senders]
    fragments = sum(event["host"] not in hosts for event in events)
    lines = [line.groups() for frame in lost if (line := _LINE.fullmatch(frame))]
    for sender in senders:
        of_host = [event for event in events if event["host"] == sender.host]
        found = Counter(event["message"] for event in of_host)
        damaged = [text.decode() for host, text in lines if host.decode() == sender.host]
        absent = sender.expected.messages - found
        missing += (absent - Counter(damaged)).total()
        excused += (absent & Counter(damaged)).total()
        more = found - sender.expected.messages
        cut = _fragments(more, sender.expected.messages)
        fragments += cut.total()
        surplus += (more - cut).total()
        # Nothing is known of a mail that was told of in a lost line.
        unknown = {text.partition(":")[0] for text in damaged}
        not_enriched += sum(
            event.get(name) != value
            for event in of_host
            if (facts := sender.expected.deliveries.get(event["message"])) is not None
            and event["message"].partition(":")[0] not in unknown
            for name, value in facts.items()
        )
    return {
        "missing": missing,
        "lines lost with damaged records": excused,
        "surplus": surplus,
        "fragments": fragments,
        "facts missing in deliveries": not_enriched,
    }


def _fragments(found: Counter[str], whole: Iterable[str]) -> Counter[str]:
    """Those that are the beginning of another text."""
    texts = sorted(whole)
    return Counter(
        {
            text: count
            for text, count in found.items()
            if (place := bisect_right(texts, text)) < len(texts) and texts[place].startswith(text)
        }
    )
