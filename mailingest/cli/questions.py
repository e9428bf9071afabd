"""Questions about mails: trace and report."""

from typing import Annotated, Literal

import typer

from mailingest.cli import completion
from mailingest.cli.options import (
    CharsetOption,
    ConfigOption,
    JsonLinesOption,
    SinceOption,
    StoredTypeOption,
    UntilOption,
    YearOption,
    close_output,
    start,
)
from mailingest.errors import UsageError

InsteadOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FILE", help="Log file to ask instead of the store; may be repeated, - is stdin."
    ),
]


def trace(
    sender: Annotated[
        str | None,
        typer.Option("--from", metavar="ADDRESS", help="Sender; <> is that of a bounce."),
    ] = None,
    recipient: Annotated[
        str | None,
        typer.Option("--to", metavar="ADDRESS", help="Recipient, also the original one."),
    ] = None,
    queue_id: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="Queue ID, ours or the next server's.",
            autocompletion=completion.queue_ids,
        ),
    ] = None,
    message_id: Annotated[
        str | None, typer.Option(metavar="ID", help="Message-ID, with or without <>.")
    ] = None,
    client: Annotated[
        str | None, typer.Option(metavar="CLIENT", help="Part of the client's name or IP.")
    ] = None,
    sasl_user: Annotated[
        str | None,
        typer.Option(metavar="USER", help="Who logged in: the name, or a part of it."),
    ] = None,
    relay: Annotated[
        str | None, typer.Option(metavar="SERVER", help="Part of the next server's name or IP.")
    ] = None,
    text: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Text in any line of the mail.")
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            metavar="HOST",
            help="Part of the mail server's hostname.",
            autocompletion=completion.hosts,
        ),
    ] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    status: Annotated[
        list[str] | None,
        typer.Option(
            metavar="VERDICT",
            help="Verdict, such as bounced, or bounced,expired; may be repeated.",
            autocompletion=completion.verdicts,
        ),
    ] = None,
    file: InsteadOption = None,
    year: YearOption = None,
    charset: CharsetOption = None,
    only: StoredTypeOption = None,
    limit: Annotated[
        int, typer.Option(min=0, metavar="N", help="Show the newest N; 0 is all.")
    ] = 100,
    short: Annotated[
        bool,
        typer.Option(
            "--short",
            help="One line an answer: time, verdict, recipient, sender, queue ID.",
        ),
    ] = False,
    as_json: JsonLinesOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Comma-separated values.")] = False,
    following: Annotated[
        bool,
        typer.Option(
            "--follow",
            "-f",
            help="Show what is decided from now on (or --since), as it comes, until Ctrl-C.",
        ),
    ] = False,
    language: Annotated[
        Literal["en", "de"],
        typer.Option(
            "--lang", metavar="LANGUAGE", help="en or de: in which replies are explained."
        ),
    ] = "en",
    raw: Annotated[
        bool, typer.Option("--raw", help="Show all log lines of each mail as well, once.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Show what became of mails.

    There is one answer for each mail and recipient, newest last.  Criteria hold together and are
    case-insensitive.  Of addresses, a whole one asks for itself, @example.net for a domain, bob@
    for a local part, anything else for a part.  Without criteria all mails of the time are shown.

    Exit code 0: there are answers; 1: there is none, and standard error says whether there are
    logs for that time; 2: the question makes no sense; 3: the answer is not whole, and standard
    error says what could not be read or understood; 4: the store cannot be asked.

    Colours are for terminals: NO_COLOR takes them away, FORCE_COLOR has them elsewhere too.

    \b
    mailingest trace --to bob@example.net --since 2d
    mailingest trace --status pending --short
    mailingest trace --to @example.net --short --follow
    mailingest trace --from @example.org --to bob@ --raw
    mailingest trace --status bounced,expired,rejected --since yesterday --csv
    mailingest trace --queue-id 4cX0Yz3q1vz9s0B
    mailingest trace --sasl-user ann@example.org --since 1d
    mailingest trace --file '/var/log/mail.log*' --client 192.0.2.7
    """
    from mailingest.commands.trace import Options
    from mailingest.commands.trace import run as run_trace
    from mailingest.trace.questions import Question

    if short + as_json + as_csv > 1:
        raise UsageError("trace: --short, --json or --csv, not two of them")
    if raw and (short or as_csv):
        raise UsageError("trace: --raw shows lines, which --short and --csv have no place for")
    if following and (file or until):
        raise UsageError("trace: --follow asks the store from now on: without --file and --until")
    _check_source("trace", file, only, charset)
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
        form="short" if short else "json" if as_json else "csv" if as_csv else "text",
        raw=raw,
        only=only,
        follow=following,
        language=language,
    )
    settings = start(config).for_source(None, charset)
    try:
        code = run_trace(settings, question, options)
    except BrokenPipeError:
        close_output()
    else:
        raise typer.Exit(code)


def report(
    yesterday: Annotated[bool, typer.Option("--yesterday", help="The day before today.")] = False,
    week: Annotated[bool, typer.Option("--week", help="The seven days before today.")] = False,
    since: SinceOption = None,
    until: UntilOption = None,
    file: InsteadOption = None,
    year: YearOption = None,
    charset: CharsetOption = None,
    only: StoredTypeOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    html_mail: Annotated[
        bool, typer.Option("--html-mail", help="A mail for sendmail -t; needs --to.")
    ] = False,
    to: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Who gets the mail; several with commas."),
    ] = None,
    sender: Annotated[
        str | None,
        typer.Option("--from", metavar="ADDRESS", help="From: of the mail.", show_default=False),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Report what happened, for the postmaster's morning.

    Totals, hours, top names, reasons, warnings, delays.  Of the store it is today's, or that of
    another time; of files it is all of them.  Names are shown in full: the report is for the
    postmaster.

    Exit code 0: there is a report; 1: there is nothing to report; 2: the question makes no sense;
    3: the report is not whole, and says why; 4: the store cannot be asked.

    \b
    mailingest report --yesterday
    mailingest report --week --json
    mailingest report --file /var/log/mail.log.1
    mailingest report --yesterday --html-mail --to postmaster@example.org | sendmail -t
    """
    from mailingest.commands.report import Options
    from mailingest.commands.report import run as run_report

    if yesterday + week + (since is not None or until is not None) > 1:
        raise UsageError("report: only one of --yesterday, --week, --since with --until")
    if as_json and html_mail:
        raise UsageError("report: --json or --html-mail, not both")
    if html_mail != (to is not None):
        raise UsageError("report: --html-mail and --to ADDRESS belong together")
    if sender is not None and not html_mail:
        raise UsageError("report: --from is that of --html-mail")
    _check_source("report", file, only, charset)
    options = Options(
        files=file or (),
        year=year,
        span="yesterday" if yesterday else "week" if week else "",
        since=since,
        until=until,
        form="json" if as_json else "mail" if html_mail else "text",
        to=to or "",
        sender=sender,
        only=only,
    )
    settings = start(config).for_source(None, charset)
    try:
        code = run_report(settings, options)
    except BrokenPipeError:
        close_output()
    else:
        raise typer.Exit(code)


def _check_source(
    command: str, files: list[str] | None, only: str | None, charset: str | None
) -> None:
    """Raise UsageError for options that log files, or a store, do not have."""
    if files and only is not None:
        raise UsageError(f"{command}: --file or --type, not both: log files have no types")
    if charset is not None and not files:
        raise UsageError(
            f"{command}: --charset is that of --file: what is stored is decoded already"
        )
