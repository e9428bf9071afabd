"""Commands that look after the store: setup, retention, export, store, deadletter."""

import sys
from typing import Annotated

import typer

from mailingest.cli.options import (
    EXIT_FAILED,
    ConfigOption,
    JsonLinesOption,
    SinceOption,
    StoredTypeOption,
    UntilOption,
    start,
)
from mailingest.errors import UsageError


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
    grafana_metrics: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Only write Grafana's dashboard of the metrics in Prometheus; - is stdout.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Put index template and lifecycle policy on a server.

    That is Elasticsearch or OpenSearch.  Each type has its own.  What is there already is left
    alone, so that this may be repeated.  The policy deletes indices after retention.days, or the
    retention_days of the type, if one is set and the server can (ILM, ISM).  Notes say what the
    cluster and its indices want set otherwise: shards, replicas, other templates.  Settings of
    your own belong into the component template TYPE@custom.
    """
    if dry_run and diff:
        raise UsageError("setup: --dry-run or --diff, not both")
    settings = start(config)
    from mailingest.commands import setup as setting_up

    if saved_objects is not None:
        setting_up.write_saved_objects(settings, saved_objects)
    if grafana is not None:
        setting_up.write_grafana(settings, grafana)
    if grafana_metrics is not None:
        setting_up.write_grafana_metrics(grafana_metrics)
    if saved_objects is None and grafana is None and grafana_metrics is None:
        setting_up.run(settings, "diff" if diff else "requests" if dry_run else None, force=force)


def retention(
    config: ConfigOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be deleted, and delete nothing.")
    ] = False,
) -> None:
    """Delete the days that are too old from the store.

    Made for a timer: retention.days says how old.  Only indices and files named TYPE-YYYY.MM.dd
    are deleted.  Days of a type with retention_days ([types.TYPE]) are kept that long; without
    that and without retention.days, none are deleted.
    """
    from mailingest.commands.retention import run as run_retention

    run_retention(start(config), dry_run=dry_run)


def export(
    since: SinceOption = None,
    until: UntilOption = None,
    only: StoredTypeOption = None,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="A new file; - is stdout.")
    ] = "-",
    config: ConfigOption = None,
) -> None:
    """Write the events of the embedded store as NDJSON.

    A line each, oldest first:

    mailingest export --since 2026-11-24 --until 2026-11-25 --output day.ndjson

    The daemon may go on meanwhile.  Exit code 1: something could not be read, and what was written
    is not all.
    """
    from mailingest.commands.export import run as run_export

    run_export(start(config), output, since=since, until=until, only=only)


def show_stats(
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a day.")] = False,
) -> None:
    """Show what each day of the embedded store holds.

    With the bytes that an event takes.  Below each day are the tables and indices with their
    bytes an event.
    """
    from mailingest.commands.store import stats

    stats(start(config), as_json=as_json)


def compact(config: ConfigOption = None) -> None:
    """Pack the days of the embedded store that are over.

    Also those of earlier versions.  The daemon does so by itself, once a day is over; it may go
    on meanwhile.  The command can be interrupted, and goes on where it was the next time.
    """
    from mailingest.commands.store import compact as run_compact

    run_compact(start(config))


def forget(
    text: Annotated[str, typer.Argument(metavar="ADDRESS", show_default=False)],
    config: ConfigOption = None,
) -> None:
    """Delete all events with an address from the days that are over.

    Or with another text.  Upper and lower case are the same.  A mail has two sides: without these
    lines, the other side cannot be traced any more.  The daemon may go on meanwhile.
    """
    from mailingest.commands.store import forget as run_forget

    run_forget(start(config), text)


def list_dead_letters(
    config: ConfigOption = None,
    limit: Annotated[
        int, typer.Option(min=0, metavar="N", help="How many of the newest; 0 is all.")
    ] = 20,
    as_json: JsonLinesOption = False,
) -> None:
    """List the documents that the store refused, with reasons."""
    from mailingest.commands.deadletter import list_letters

    list_letters(start(config), limit=limit, as_json=as_json)


def show_dead_letter(
    identity: Annotated[str, typer.Argument(metavar="ID", show_default=False)],
    config: ConfigOption = None,
) -> None:
    """Show a document and why it was refused, as JSON."""
    from mailingest.commands.deadletter import show_letters

    show_letters(start(config), identity)


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

    raise typer.Exit(0 if retry_letters(start(config), identities or []) else EXIT_FAILED)


def purge_dead_letters(
    config: ConfigOption = None,
    before: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Those refused before then: 7d, yesterday, 2026-11-24.",
            show_default=False,
        ),
    ] = None,
    index: Annotated[
        str | None,
        typer.Option(metavar="INDEX", help="Those for this index.", show_default=False),
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
        start(config),
        before=before,
        index=index,
        confirm=lambda question: yes or typer.confirm(question),
    )
