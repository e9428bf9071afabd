"""The declaration of the counters -> the text that Prometheus scrapes."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from mailingest import __version__
from mailingest.delivery.histogram import Histogram
from mailingest.service.counters import COUNTERS, Counter
from mailingest.service.parts import Figures

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
_PREFIX: Final = "mailingest_"

# Memory, CPU time, descriptors and the start, under the names that every program has.
_process: Final = ProcessCollector(registry=None)


def exposition(figures: Figures) -> bytes:
    """All counters of now, in the text format 0.0.4 of Prometheus."""
    return generate_latest(_Of(figures))


class _Of(Collector):
    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily(
            f"{_PREFIX}build", "the version that runs", value={"version": __version__}
        )
        yield from _process.collect()
        for counter in COUNTERS:
            yield _family(counter, self._figures)


def metric_name(counter: Counter) -> str:
    """The name under which Prometheus has a counter; that of a histogram has suffixes besides."""
    return f"{_PREFIX}{counter.name}{'_total' if counter.kind == 'counter' else ''}"


def _family(counter: Counter, figures: Figures) -> Metric:
    name, help_text = f"{_PREFIX}{counter.name}", counter.help
    reading = figures.read(counter)
    if isinstance(reading, Histogram):
        histogram = HistogramMetricFamily(name, help_text)
        buckets = [(_bound(bound), float(count)) for bound, count in reading.cumulative()]
        histogram.add_metric((), buckets, reading.sum)
        return histogram
    kind = CounterMetricFamily if counter.kind == "counter" else GaugeMetricFamily
    family = kind(name, help_text, labels=counter.labels)
    for labels, value in _values(reading):
        family.add_metric(labels, value)
    return family


def _values(reading: object) -> Iterable[tuple[tuple[str, ...], float]]:
    if isinstance(reading, Mapping):
        return [(labels, float(value)) for labels, value in reading.items()]
    if isinstance(reading, int | float):
        return [((), float(reading))]
    # A state: whether there is anything to say.
    return [((), 0.0 if reading is None else 1.0)]


def _bound(bound: float) -> str:
    return "+Inf" if bound == float("inf") else repr(bound)
