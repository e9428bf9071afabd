"""What commands have in common: options, exit codes, how a command begins and ends."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mailingest.cli import completion
from mailingest.errors import MailingestError
from mailingest.escaping import escape_terminal_lines

if TYPE_CHECKING:
    from mailingest.config import Settings

EXIT_FAILED = 1
EXIT_REFUSED = 2
EXIT_UNREACHABLE = 4
# As the Linux Standard Base has it for a service that is to be reloaded.
EXIT_NOT_RUNNING = 7

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help="Configuration file (TOML).  Default: $MAILINGEST_CONFIG, "
        "/etc/mailingest/mailingest.toml if there is one, or built-in defaults.",
        show_default=False,
    ),
]
FilesArgument = Annotated[
    list[str],
    typer.Argument(
        help="Log files, plain or compressed (gz, bz2, xz, zst), globs, or - for standard input.",
        show_default=False,
    ),
]
YearOption = Annotated[
    int | None,
    typer.Option(
        min=1970,
        max=9998,
        metavar="YEAR",
        help="Year of the last line of each file, for time stamps without one; told by when the "
        "file was written last otherwise.",
        show_default=False,
    ),
]
TypeOption = Annotated[
    str | None,
    typer.Option(
        "--type",
        metavar="TYPE",
        help="Type of the events, which names the index.  Default: index.prefix.",
        show_default=False,
        autocompletion=completion.types,
    ),
]
CharsetOption = Annotated[
    str | None,
    typer.Option(
        metavar="CHARSET",
        help="Charset of the lines.  Default: syslog.charset.",
        show_default=False,
    ),
]
SinceOption = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="From then on: 30m, 7d, yesterday, 15:40, 2026-11-24.",
        show_default=False,
    ),
]
UntilOption = Annotated[
    str | None,
    typer.Option(
        metavar="TIME", help="Before then, in the same forms; not included.", show_default=False
    ),
]
StoredTypeOption = Annotated[
    str | None,
    typer.Option(
        "--type",
        metavar="TYPE",
        help="Events of this type only; all types otherwise.",
        show_default=False,
        autocompletion=completion.types,
    ),
]
DomainsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--domain",
        metavar="DOMAIN",
        help="Only mails from and to it are seen; *.example.org: all below. Repeatable.",
    ),
]
JsonLinesOption = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


def start(config: Path | None) -> "Settings":
    """Read the configuration, and log as it says."""
    from mailingest.config import load
    from mailingest.logs.configuration import configure

    settings = load(config)
    configure(settings.log)
    return settings


def close_output() -> None:
    """Whoever read the output has seen enough; Python would complain about it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def complain(error: MailingestError) -> None:
    """Write an error to standard error."""
    # Names of files, what was typed and what a server says may hold anything.
    for line in escape_terminal_lines(str(error)).split("\n"):
        print(f"mailingest: {line}", file=sys.stderr)
