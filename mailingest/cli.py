"""The command line: one function a command, which hands on to the module that does the work.

Exit codes: 0 all is well, 1 something could not be delivered, 2 refused (usage, configuration,
patterns, files, addresses), 130 interrupted.
"""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from mailingest import __version__
from mailingest.config import Settings, load
from mailingest.errors import MailingestError, UsageError

EXIT_FAILED = 1
EXIT_REFUSED = 2

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Postfix mail logs in, traced mail events out: the Logstash part of mail tracing in one "
    "small process.",
    epilog="Start with `mailingest run`: it listens on UDP and TCP port 5000 of 127.0.0.1 and "
    "keeps events in SQLite files.  In rsyslog: mail.* @127.0.0.1:5000",
)

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
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


def main() -> None:
    """Run the command line and exit."""
    try:
        app()
    except UsageError as error:
        _complain(error)
        sys.exit(EXIT_REFUSED)
    except MailingestError as error:
        _complain(error)
        sys.exit(EXIT_FAILED)


def _complain(error: MailingestError) -> None:
    for line in str(error).splitlines():
        print(f"mailingest: {line}", file=sys.stderr)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"mailingest {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    del version


@app.command()
def run(config: ConfigOption = None) -> None:
    """Receive syslog and store mail events, until SIGTERM or Ctrl-C.

    The counters go to standard error every minute.  Exit code 1 means that documents could not be
    written before shutdown_timeout.
    """
    from mailingest.daemon import run as run_daemon

    raise typer.Exit(run_daemon(_start(config)))


@app.command()
def replay(
    files: FilesArgument,
    config: ConfigOption = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin anew, even if an earlier run was interrupted.")
    ] = False,
) -> None:
    """Store the events of log files: backfill.

    Rotated sets are put in time order.  What is stored already is not stored twice, so a replay
    may be repeated; one that was interrupted goes on where it stopped.

    Example: mailingest replay '/var/log/mail.log*'
    """
    from mailingest.replay import run as run_replay

    raise typer.Exit(run_replay(_start(config), files, restart=restart))


@app.command()
def parse(files: FilesArgument, config: ConfigOption = None) -> None:
    """Show what is made of log lines: one JSON object a line, in order.

    Nothing is stored.  Example: tail -n 100 /var/log/mail.log | mailingest parse - | jq .
    """
    from mailingest.parse import parse as parse_files

    settings = _start(config)
    try:
        parse_files(settings, files, sys.stdout.buffer)
    except BrokenPipeError:
        # Whoever read the output has seen enough; Python would complain about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@app.command()
def check(config: ConfigOption = None) -> None:
    """Check configuration, patterns, addresses and the store.

    One line for each, `ok` or `WRONG` and why.  Exit code 0: all is well; 2: something is wrong.
    """
    from mailingest.check import check as check_all

    raise typer.Exit(EXIT_REFUSED if check_all(_start(config)) else 0)


def _start(config: Path | None) -> Settings:
    from mailingest.logs import configure

    settings = load(config, os.environ)
    configure(settings.log)
    return settings
