"""Commands on log lines and on what reads them: replay, parse, patterns."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from mailingest.cli.options import (
    EXIT_FAILED,
    CharsetOption,
    ConfigOption,
    FilesArgument,
    TypeOption,
    YearOption,
    close_output,
    start,
)


def replay(
    files: FilesArgument,
    config: ConfigOption = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin anew, even if an earlier run was interrupted.")
    ] = False,
    year: YearOption = None,
    event_type: TypeOption = None,
    charset: CharsetOption = None,
    jobs: Annotated[
        int,
        typer.Option(
            "--jobs",
            "-j",
            min=1,
            max=64,
            metavar="N",
            help="Processes that share the lines; what is stored is the same.",
        ),
    ] = 1,
    as_json: Annotated[
        bool, typer.Option("--json", help="What came of it as one JSON object.")
    ] = False,
) -> None:
    """Store the events of log files: backfill.

    Rotated sets are put in time order.  What is stored already is not stored twice, so a replay
    may be repeated; one that was interrupted goes on where it stopped.  At its end it says what
    came of it.  Exit code 0: all is stored; 1: a file was damaged, or a document was refused; 130:
    interrupted.

    Example: mailingest replay '/var/log/mail.log*'
    """
    from mailingest.commands.replay import run as run_replay

    settings = start(config).for_source(event_type, charset)
    done = run_replay(settings, files, restart=restart, year=year, jobs=jobs)
    print(done.json() if as_json else done.sentence())
    raise typer.Exit(done.exit_code)


def import_logstash(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="DIR|FILE...",
            help="Directory of the pipeline's *.conf, such as /etc/logstash, or such files.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="DIR", help="Where mailingest.toml and patterns/ are written."
        ),
    ] = Path("mailingest-imported"),
    patterns: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR",
            help="Directory of the pipeline's pattern files, where patterns_dir is not on this "
            "machine.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a plugin or option.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace what is in the output directory.")
    ] = False,
) -> None:
    """Make a configuration of a Logstash pipeline.

    It says what became of each part of the pipeline.  Exit code 0: all was carried over, or
    mailingest does it by itself; 1: the pipeline has nothing about Postfix, and nothing is
    written; 2: it cannot be read; 3: some of it is left to you.
    """
    from mailingest.commands.import_logstash import Wanted
    from mailingest.commands.import_logstash import run as run_import

    wanted = Wanted(paths, patterns or [], output, force)
    raise typer.Exit(run_import(wanted, sys.stdout, as_json=as_json))


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
    """Show what is made of log lines, as JSON.

    One object a line, in order.  Nothing is stored.

    Example: tail -n 100 /var/log/mail.log | mailingest parse - | jq .
    """
    from mailingest.commands.parse import parse as parse_files
    from mailingest.commands.parse import unmatched as show_unmatched

    settings = start(config).for_source(event_type, charset)
    try:
        if unmatched:
            show_unmatched(settings, files, sys.stdout, as_json=as_json, year=year)
            sys.stdout.flush()
        else:
            parse_files(settings, files, sys.stdout.buffer, year=year)
    except BrokenPipeError:
        close_output()


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
    """Try patterns on cases.

    Cases are YAML documents of `pattern`, `data` and `results`.  The pattern, such as
    ^%{POSTFIX_SMTPD}$, is looked for in the data as Logstash does, and has to capture the results,
    which are texts by field.  Exit code 0: all cases pass; 1: some fail.
    """
    from mailingest.commands.patterns import run as run_cases

    passed = run_cases(start(config), paths, sys.stdout, as_json=as_json)
    raise typer.Exit(0 if passed else EXIT_FAILED)
