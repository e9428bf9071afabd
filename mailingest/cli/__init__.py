"""The command line: one function a command, which hands on to the module that does the work.

Exit codes: 0 all is well, 1 something could not be delivered, 2 refused (usage, configuration,
patterns, files, addresses), 7 no daemon runs, 130 interrupted.  `trace` and `report` have more.
"""

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from mailingest import __version__, build
from mailingest.cli import lines, questions, service, store, tokens
from mailingest.cli.options import EXIT_FAILED, EXIT_REFUSED, complain
from mailingest.errors import MailingestError, UsageError

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Postfix mail logs in, traced mail events out: the Logstash part of mail tracing in one "
    "small process.",
    epilog="Start with `mailingest run`: it listens on UDP and TCP port 5000 of 127.0.0.1 and "
    "keeps events in SQLite files.  In rsyslog: mail.* @127.0.0.1:5000",
)


def main() -> None:
    """Run the command line and exit."""
    sys.exit(_run())


def _run() -> int:
    """Run it; the exit code.  Every mistake is told in the same form."""
    try:
        return app(prog_name="mailingest", standalone_mode=False) or 0
    except UsageError as error:
        complain(error)
        return EXIT_REFUSED
    except MailingestError as error:
        complain(error)
        return EXIT_FAILED
    except typer.Abort:
        print("mailingest: stopped", file=sys.stderr)
        return EXIT_FAILED
    except typer.TyperException as error:
        return _refuse(error)


def _refuse(error: typer.TyperException) -> int:
    """Say what is wrong with what was typed, and where help is."""
    context: typer.Context | None = getattr(error, "ctx", None)
    format_message: Callable[[], str] = getattr(error, "format_message", error.__str__)
    said, help_text = format_message(), context.get_help() if context is not None else ""
    if said == help_text:
        # Nothing was typed behind the name of the program or of a group.
        print(help_text, file=sys.stderr)
        return EXIT_REFUSED
    path = context.command_path if context is not None else "mailingest"
    complain(MailingestError(f"{said.removesuffix('.')}: see {path} --help"))
    return EXIT_REFUSED


def _version(wanted: bool) -> None:
    if wanted:
        print(f"mailingest {__version__} ({build()})")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_version,
            is_eager=True,
            help="Show version and build.",
        ),
    ] = False,
) -> None:
    del version


def _group(name: str, help_text: str) -> typer.Typer:
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help=help_text)
    app.add_typer(group, name=name)
    return group


# The order is that of `mailingest --help`.
app.command()(service.run)
app.command()(service.reload)
app.command()(lines.replay)
app.command()(lines.parse)
app.command("import-logstash")(lines.import_logstash)
app.command()(service.check)
app.command()(service.status)
app.command()(store.setup)
app.command()(store.retention)
app.command()(questions.trace)
app.command()(questions.report)
app.command()(service.web)
app.command("web-user")(service.web_user)
app.command("config")(service.show_config)
app.command()(service.units)

_tokens = _group("web-token", "The tokens of scripts that ask the page's API.")
_tokens.command("create")(tokens.create)
_tokens.command("list")(tokens.show)
_tokens.command("revoke")(tokens.revoke)

app.command()(store.export)
_store = _group("store", "The files of the embedded store.")
_store.command("stats")(store.show_stats)
_store.command("compact")(store.compact)
_store.command("forget")(store.forget)

_deadletter = _group("deadletter", "The documents that the store refused.")
_deadletter.command("list")(store.list_dead_letters)
_deadletter.command("show")(store.show_dead_letter)
_deadletter.command("retry")(store.retry_dead_letters)
_deadletter.command("purge")(store.purge_dead_letters)

_patterns = _group("patterns", "The patterns that lines are read with.")
_patterns.command("test")(lines.try_patterns)

_spool = _group("spool", "The lines that were received and are not stored yet.")
_spool.command("status")(service.show_spool_status)
