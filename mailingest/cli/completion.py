"""What a shell is told of the values that an option takes; where none are known, nothing."""

import asyncio
from pathlib import Path
from typing import Final, get_args

import typer

# Of a store, what the newest events have is offered: they are what one asks about, and whoever
# presses Tab does not wait for more.
_EVENTS: Final = 2000
_PATIENCE_SECONDS: Final = 3.0


def verdicts(incomplete: str) -> list[str]:
    """Verdicts for --status, whose value may be several with commas between them."""
    from mailingest.trace.story import Verdict

    before, comma, begun = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in get_args(Verdict) if name.startswith(begun)]


def types(context: typer.Context, incomplete: str) -> list[str]:
    """Types that the settings name, those of --config if it has been typed already."""
    from mailingest.config import load
    from mailingest.errors import MailingestError

    try:
        names = load(context.params.get("config")).type_names
    except MailingestError:
        # The command says what is wrong once it is run.
        return []
    return [name for name in names if name.startswith(incomplete)]


def hosts(context: typer.Context, incomplete: str) -> list[str]:
    """Mail servers that have logged lately."""
    return _stored(context, "host", incomplete)


def queue_ids(context: typer.Context, incomplete: str) -> list[str]:
    """Queue IDs of the newest events."""
    from mailingest.postfix.names import QUEUE_ID

    return _stored(context, QUEUE_ID, incomplete)


def _stored(context: typer.Context, name: str, incomplete: str) -> list[str]:
    """The values of a field in the newest events of the store, newest first."""
    from mailingest.errors import MailingestError

    try:
        found = asyncio.run(_newest(context.params.get("config"), name))
    except (MailingestError, TimeoutError):
        # The command says what is wrong once it is run.
        return []
    return [value for value in found if value.startswith(incomplete)]


async def _newest(config: Path | None, name: str) -> list[str]:
    from mailingest.config import load
    from mailingest.postfix.names import NOQUEUE
    from mailingest.stores.criteria import Criteria
    from mailingest.wiring import build_reader

    reader = build_reader(load(config))
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            events = (await reader.find(Criteria(), _EVENTS)).events
    finally:
        await reader.close()
    values = dict.fromkeys(event.get(name) for event in events)
    return [value for value in values if isinstance(value, str) and value != NOQUEUE]
