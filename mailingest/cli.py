"""The command line: one function a command, which hands on to the module that does the work.

Exit codes: 0 all is well, 1 something could not be delivered, 2 refused (usage, configuration,
patterns, files, addresses), 130 interrupted.  `trace` has more of them.
"""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from mailingest import __version__
from mailingest.config import Settings, load
from mailingest.errors import MailingestError, UsageError
from mailingest.escaping import escape_terminal_lines

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

deadletter_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="The documents that the store refused.",
)
app.add_typer(deadletter_app, name="deadletter")

patterns_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="The patterns that lines are read with.",
)
app.add_typer(patterns_app, name="patterns")

spool_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="The lines that were received and are not stored yet.",
)
app.add_typer(spool_app, name="spool")

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
YearOption = Annotated[
    int | None,
    typer.Option(
        min=1970,
        max=9998,
        help="Year of the last line of each file, for time stamps without one; told by when the "
        "file was written last otherwise.",
        show_default=False,
    ),
]
TypeOption = Annotated[
    str | None,
    typer.Option(
        "--type",
        help="Type of the events, which names the index.  Default: index.prefix.",
        show_default=False,
    ),
]
CharsetOption = Annotated[
    str | None,
    typer.Option(help="Charset of the lines.  Default: syslog.charset.", show_default=False),
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
    # Names of files, what was typed and what a server says may hold anything.
    for line in escape_terminal_lines(str(error)).split("\n"):
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

    The counters go to standard error every minute.  What could not be stored before
    shutdown_timeout is in the spool, and is stored after the next start.
    """
    from mailingest.commands.pattern_guard import refuse_slow_patterns
    from mailingest.service.daemon import run as run_daemon

    settings = _start(config)
    refuse_slow_patterns(settings)
    raise typer.Exit(run_daemon(settings))


@app.command()
def replay(
    files: FilesArgument,
    config: ConfigOption = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin anew, even if an earlier run was interrupted.")
    ] = False,
    year: YearOption = None,
    event_type: TypeOption = None,
    charset: CharsetOption = None,
) -> None:
    """Store the events of log files: backfill.

    Rotated sets are put in time order.  What is stored already is not stored twice, so a replay
    may be repeated; one that was interrupted goes on where it stopped.

    Example: mailingest replay '/var/log/mail.log*'
    """
    from mailingest.commands.replay import run as run_replay

    settings = _start(config).for_source(event_type, charset)
    raise typer.Exit(run_replay(settings, files, restart=restart, year=year))


@app.command()
def parse(
    files: FilesArgument,
    config: ConfigOption = None,
    unmatched: Annotated[
        bool,
        typer.Option(
            "--unmatched",
            help="Show the lines of Postfix that no pattern matches instead, grouped by program "
            "and message template, with counts and examples.",
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="With --unmatched: one JSON object a group.")
    ] = False,
    year: YearOption = None,
    event_type: TypeOption = None,
    charset: CharsetOption = None,
) -> None:
    """Show what is made of log lines: one JSON object a line, in order.

    Nothing is stored.  Example: tail -n 100 /var/log/mail.log | mailingest parse - | jq .
    """
    from mailingest.commands.parse import parse as parse_files
    from mailingest.commands.parse import unmatched as show_unmatched

    settings = _start(config).for_source(event_type, charset)
    try:
        if unmatched:
            show_unmatched(settings, files, sys.stdout, as_json=as_json, year=year)
            sys.stdout.flush()
        else:
            parse_files(settings, files, sys.stdout.buffer, year=year)
    except BrokenPipeError:
        _close_output()


@app.command()
def check(config: ConfigOption = None) -> None:
    """Check configuration, patterns, addresses and the store.

    One line for each, `ok`, `warn` or `WRONG` and why.  Exit code 0: all is well, but for the
    warnings; 2: something is wrong.
    """
    from mailingest.commands.check import check as check_all

    raise typer.Exit(EXIT_REFUSED if check_all(_start(config)) else 0)


@app.command()
def setup(
    config: ConfigOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the requests and send none that change.")
    ] = False,
    diff: Annotated[
        bool, typer.Option("--diff", help="Show what would change on the server; change nothing.")
    ] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="Replace a template of that name that others have made."),
    ] = False,
    saved_objects: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Only write the dashboard for Kibana or OpenSearch Dashboards; - is stdout.",
            show_default=False,
        ),
    ] = None,
    grafana: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Only write the dashboard for Grafana; - is stdout.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Put index template and lifecycle policy on Elasticsearch or OpenSearch.

    Each type has its own.  What is there already is left alone, so that this may be repeated.  The
    policy deletes indices after retention.days, or the retention_days of the type, if one is set
    and the server can (ILM, ISM).  Notes say what the cluster and its indices want set otherwise:
    shards, replicas, other templates.  Settings of your own belong into the component template
    TYPE@custom.
    """
    if dry_run and diff:
        raise UsageError("setup: --dry-run or --diff, not both")
    settings = _start(config)
    from mailingest.commands import setup as setting_up

    if saved_objects is not None:
        setting_up.write_saved_objects(settings, saved_objects)
    if grafana is not None:
        setting_up.write_grafana(settings, grafana)
    if saved_objects is None and grafana is None:
        setting_up.run(settings, "diff" if diff else "requests" if dry_run else None, force=force)


@app.command()
def retention(
    config: ConfigOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be deleted, and delete nothing.")
    ] = False,
) -> None:
    """Delete the days that are older than retention.days from the store; made for a timer.

    Only indices and files named TYPE-YYYY.MM.dd are deleted.  Days of a type with retention_days
    ([types.TYPE]) are kept that long; without that and without retention.days, none are deleted.
    """
    from mailingest.commands.retention import run as run_retention

    run_retention(_start(config), dry_run=dry_run)


@patterns_app.command("test")
def try_patterns(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="DIR...", help="Directories of YAML files, or such files.", show_default=False
        ),
    ],
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a case.")] = False,
) -> None:
    """Try patterns on cases: YAML documents of `pattern`, `data` and `results`.

    The pattern, such as ^%{POSTFIX_SMTPD}$, is looked for in the data as Logstash does, and has to
    capture the results, which are texts by field.  Exit code 0: all cases pass; 1: some fail.
    """
    from mailingest.commands.patterns import run as run_cases

    passed = run_cases(_start(config), paths, sys.stdout, as_json=as_json)
    raise typer.Exit(0 if passed else EXIT_FAILED)


@deadletter_app.command("list")
def list_dead_letters(
    config: ConfigOption = None,
    limit: Annotated[int, typer.Option(min=0, help="How many of the newest; 0 is all.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List the documents that the store refused, with the reasons."""
    from mailingest.commands.deadletter import list_letters

    list_letters(_start(config), limit=limit, as_json=as_json)


@deadletter_app.command("show")
def show_dead_letter(
    identity: Annotated[str, typer.Argument(metavar="ID", show_default=False)],
    config: ConfigOption = None,
) -> None:
    """Show a document and why it was refused, as JSON."""
    from mailingest.commands.deadletter import show_letters

    show_letters(_start(config), identity)


@deadletter_app.command("retry")
def retry_dead_letters(
    identities: Annotated[
        list[str] | None, typer.Argument(metavar="ID", show_default=False)
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Send documents to the store again: all, or those named.

    Those that it takes are dead letters no more.  Exit code 1: some were refused again.
    """
    from mailingest.commands.deadletter import retry_letters

    raise typer.Exit(0 if retry_letters(_start(config), identities or []) else EXIT_FAILED)


@deadletter_app.command("purge")
def purge_dead_letters(
    config: ConfigOption = None,
    before: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"],
            help="Those refused before this time, UTC.",
            show_default=False,
        ),
    ] = None,
    index: Annotated[
        str | None, typer.Option(help="Those for this index.", show_default=False)
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove documents from the dead letters for good."""
    from mailingest.commands.deadletter import purge_letters

    if everything == (before is not None or index is not None):
        raise UsageError("deadletter purge: say which ones: --before TIME, --index NAME or --all")
    if not yes and not sys.stdin.isatty():
        raise UsageError("deadletter purge: nobody is there to ask: confirm with --yes")
    purge_letters(
        _start(config),
        before=None if before is None else before.replace(tzinfo=UTC),
        index=index,
        confirm=lambda question: yes or typer.confirm(question),
    )


@spool_app.command("status")
def show_spool_status(
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Show what is in the spool and whether it has room, while the daemon runs or not.

    Exit code 1: it is full, or an operator has to do something before lines can be stored.
    """
    from mailingest.commands.spool import as_json as show_json
    from mailingest.commands.spool import as_text
    from mailingest.spool.status import spool_status

    status = spool_status(_start(config))
    print(show_json(status) if as_json else as_text(status, datetime.now(UTC)))
    raise typer.Exit(0 if status.full is None and status.held is None else EXIT_FAILED)


@app.command()
def trace(
    sender: Annotated[
        str | None, typer.Option("--from", help="Sender; <> is a bounce.", show_default=False)
    ] = None,
    recipient: Annotated[
        str | None, typer.Option("--to", help="Recipient, also the original one.")
    ] = None,
    queue_id: Annotated[
        str | None, typer.Option(help="Queue ID, ours or the next server's.")
    ] = None,
    message_id: Annotated[str | None, typer.Option(help="Message-ID, with or without <>.")] = None,
    client: Annotated[str | None, typer.Option(help="Part of the client's name or IP.")] = None,
    sasl_user: Annotated[
        str | None, typer.Option(help="Name under which the client logged in, or a part of it.")
    ] = None,
    relay: Annotated[str | None, typer.Option(help="Part of the next server's name or IP.")] = None,
    text: Annotated[str | None, typer.Option(help="Text in any line of the mail.")] = None,
    host: Annotated[str | None, typer.Option(help="Part of the mail server's hostname.")] = None,
    since: Annotated[
        str | None, typer.Option(help="30m, 7d, yesterday, 15:40, 2026-11-24.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="The same forms.")] = None,
    status: Annotated[
        list[str] | None, typer.Option(help="Verdict, such as bounced, or bounced,expired.")
    ] = None,
    file: Annotated[
        list[str] | None,
        typer.Option(help="Log file to ask instead of the store; may be repeated, - is stdin."),
    ] = None,
    year: YearOption = None,
    charset: CharsetOption = None,
    only: Annotated[
        str | None,
        typer.Option(
            "--type",
            metavar="TYPE",
            help="Ask events of this type only; all types otherwise.",
            show_default=False,
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="Show the newest N; 0 is all.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Comma-separated values.")] = False,
    raw: Annotated[bool, typer.Option("--raw", help="Show all log lines of each mail.")] = False,
    config: ConfigOption = None,
) -> None:
    """Show what became of mails: one answer for each mail and recipient, newest last.

    Criteria hold together and are case-insensitive.  Of addresses, a whole one asks for itself,
    @example.net for a domain, bob@ for a local part, anything else for a part.  Without criteria
    all mails of the time are shown.

    Exit code 0: there are answers; 1: there is none, and standard error says whether there are
    logs for that time; 2: the question makes no sense; 3: the answer is not whole, and standard
    error says what could not be read or understood; 4: the store cannot be asked.

    \b
    mailingest trace --to bob@example.net --since 2d
    mailingest trace --from @example.org --to bob@ --raw
    mailingest trace --status bounced,expired,rejected --since yesterday --csv
    mailingest trace --queue-id 4cX0Yz3q1vz9s0B
    mailingest trace --sasl-user ann@example.org --since 1d
    mailingest trace --file '/var/log/mail.log*' --client 192.0.2.7
    """
    from mailingest.commands.trace import Options
    from mailingest.commands.trace import run as run_trace
    from mailingest.trace.questions import Question

    if as_json and as_csv:
        raise UsageError("trace: --json or --csv, not both")
    if file and only is not None:
        raise UsageError("trace: --file or --type, not both: log files have no types")
    if charset is not None and not file:
        raise UsageError("trace: --charset is that of --file: what is stored is decoded already")
    question = Question(
        sender=sender,
        recipient=recipient,
        queue_id=queue_id,
        message_id=message_id,
        client=client,
        sasl_user=sasl_user,
        relay=relay,
        text=text,
        host=host,
        since=since,
        until=until,
        status=status or (),
    )
    options = Options(
        files=file or (),
        year=year,
        limit=limit,
        form="json" if as_json else "csv" if as_csv else "text",
        raw=raw,
        only=only,
    )
    settings = _start(config).for_source(None, charset)
    try:
        code = run_trace(settings, question, options)
    except BrokenPipeError:
        _close_output()
    else:
        raise typer.Exit(code)


@app.command()
def web(config: ConfigOption = None) -> None:
    """Serve the trace page until SIGTERM or Ctrl-C.

    It is on http://127.0.0.1:8025 unless set otherwise.
    """
    from mailingest.web.server import run as run_web

    raise typer.Exit(run_web(_start(config)))


@app.command("web-user")
def web_user(
    name: Annotated[str, typer.Argument(show_default=False)],
) -> None:
    """Ask for a password, and print the line of a user for web.users_file.

    Example: mailingest web-user ann >> /etc/mailingest/users
    """
    from mailingest.web.users import hash_password

    password = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    print(f"{name}:{hash_password(password)}")


def _start(config: Path | None) -> Settings:
    from mailingest.service.logs import configure

    settings = load(config)
    configure(settings.log)
    return settings


def _close_output() -> None:
    """Whoever read the output has seen enough; Python would complain about it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
