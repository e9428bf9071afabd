"""`mailingest reload`: the daemon reads its configuration again, and what came of it is shown."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from mailingest.config import SERVICE_STATE, default_state_directory, load
from mailingest.errors import UsageError
from mailingest.service.control import NotRunning, ask

_REFUSED: Final = "refused: the daemon goes on with the configuration it had"


def reload(config: Path | None) -> list[str]:
    """The lines to show; raises UsageError if it was refused, and NotRunning."""
    mistake: UsageError | None = None
    directories: list[Path] = []
    try:
        directories.append(load(config).state.directory)
    except UsageError as error:
        # The daemon is to say so, if it can be found without.
        mistake = error
    directories += _usual_directories()
    for directory in dict.fromkeys(directories):
        try:
            answer = ask(directory, "reload")
        except NotRunning:
            continue
        if answer.get("refused"):
            raise UsageError(f"{answer['refused']}\n{_REFUSED}")
        return answer["changes"] or ["nothing has changed"]
    if mistake is not None:
        raise UsageError(f"{mistake}\n{_REFUSED}")
    places = ", ".join(map(str, dict.fromkeys(directories)))
    raise NotRunning(
        f"the daemon does not run: there is none in {places} (state.directory): start it"
    )


def _usual_directories() -> Iterator[Path]:
    with suppress(UsageError):
        yield default_state_directory(os.environ)
    yield SERVICE_STATE
