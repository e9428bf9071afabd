"""What a shell is told of the values that an option takes; where none are known, nothing."""

from typing import get_args

import typer


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
