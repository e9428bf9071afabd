"""What the store needs before it is written to, shown or put there; and dashboards for it."""

import asyncio
import sys
from pathlib import Path

from mailingest.config import Settings, data_directory
from mailingest.errors import UsageError
from mailingest.stores.protocol import Show
from mailingest.wiring import build_store


def run(settings: Settings, show: Show | None = None, *, force: bool = False) -> None:
    """Set the store up, or show what that would do; prints.

    With ``force``, replaces what others have made there under the same name.
    Raises UsageError or StoreUnavailable; a second run changes nothing.
    """
    store = build_store(settings)
    asyncio.run(store.set_up(settings.retention_days, show, print, force=force))


def write_saved_objects(settings: Settings, place: str) -> None:
    """Write the dashboard of Kibana and OpenSearch Dashboards, as `write` does."""
    from mailingest.stores.elastic.saved_objects import saved_objects

    content = b"".join(map(saved_objects, settings.type_names))
    write(content, place, "--saved-objects")


def write_grafana(settings: Settings, place: str) -> None:
    """Write the dashboard of Grafana, for the type of `index.prefix`, as `write` does."""
    from mailingest.stores.elastic.grafana import grafana_dashboard

    write(grafana_dashboard(settings.index.prefix), place, "--grafana")


def write_grafana_metrics(place: str) -> None:
    """Write the dashboard of Grafana for the metrics in Prometheus, as `write` does."""
    content = (data_directory("config") / "grafana-metrics.json").read_bytes()
    write(content, place, "--grafana-metrics")


def write(content: bytes, place: str, option: str) -> None:
    """Write to a file, or to standard output if ``place`` is `-`.

    Raises UsageError, which names the option, if the file cannot be written.
    """
    if place == "-":
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    try:
        Path(place).write_bytes(content)
    except OSError as error:
        raise UsageError(f"{option}: cannot write {place}: {error.strerror}") from None
