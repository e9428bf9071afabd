"""The counters of the service, each declared once: name, kind, meaning, and where it is read.

The log line, the state file of the spool (`mailingest spool status`), the metrics of `/metrics` and
the table of docs/monitoring.md all come from this declaration.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from mailingest.config.host_names import address_name
from mailingest.delivery.histogram import Histogram
from mailingest.logs.output import log_output
from mailingest.postfix.programs import PROGRAMS
from mailingest.service.parts import Figures, Parts
from mailingest.syslog.header import HEADER_NOMATCH, PROGRAM_NOMATCH
from mailingest.watching.notices import KINDS

Kind = Literal["counter", "gauge", "state", "histogram"]
"""A counter only grows from the start on, a gauge is a number of now, a state a text or None, a
histogram sorts how long something took into buckets."""

Unit = Literal["", "bytes", "seconds"]

Of = Literal["receiver", "first", "sum", "largest"]
"""Where several processes work on the lines: what the one that receives says, or the first of those
that work, or all of them together, or the largest of what they say."""

Labels = tuple[str, ...]

Reading = int | float | str | None | Histogram | Mapping[Labels, int | float]

Value = int | float | str | None | dict[str, int | float]
"""A reading as the log and JSON have it."""


@dataclass(frozen=True, slots=True)
class Counter:
    """One counter, of whatever kind.

    With ``labels`` its reading is a number for each tuple of their values.  These come from closed
    lists, or are host names of which there is a bounded number; never addresses of people.
    The name of one that has a ``unit`` ends with it.  ``of`` is for a service of several processes.
    """

    name: str
    kind: Kind
    help: str
    read: Callable[[Parts], Reading]
    unit: Unit = ""
    labels: Labels = ()
    of: Of = "sum"


def _of_inputs(name: str, help_text: str, kind: Kind = "counter") -> Counter:
    """What inputs count: the sum of those that have it."""
    return Counter(name, kind, help_text, lambda parts: _sum(parts, name), of="receiver")


def _sum(parts: Parts, name: str) -> int:
    return parts.listeners.count(name)


_OTHER: Final = "other"
_TAGS: Final = frozenset(
    {
        HEADER_NOMATCH,
        PROGRAM_NOMATCH,
        "_grok_postfix_postfix_nomatch",
        *(f"_grok_postfix_{service}_nomatch" for service in PROGRAMS if service),
    }
)


# Prometheus keeps each value of a label for as long as it keeps anything.
_MOST_HOSTS: Final = 200


def _silences(parts: Parts) -> dict[Labels, float]:
    """By host, the seconds since its last line."""
    now = time.time()
    found: dict[Labels, float] = {}
    for host, last_line in parts.pipeline.watch.hosts.last_line.items():
        silence = max(0.0, now - last_line)
        if len(found) < _MOST_HOSTS and host and address_name(host) is None:
            found[host,] = silence
        else:
            found[_OTHER,] = min(silence, found.get((_OTHER,), silence))
    return found


def _outcomes(parts: Parts) -> Mapping[Labels, int]:
    return parts.pipeline.counters.outcomes


def _unmatched(parts: Parts) -> dict[Labels, int]:
    """By tag; of daemons that Postfix does not know, whose names are from lines, by one for all."""
    found: dict[Labels, int] = {}
    for tag, count in parts.pipeline.counters.unmatched.items():
        key = (tag if tag in _TAGS else _OTHER,)
        found[key] = found.get(key, 0) + count
    return found


COUNTERS: Final = (
    _of_inputs("datagrams_received", "datagrams read from UDP sockets"),
    _of_inputs("datagrams_empty", "of these, empty ones"),
    _of_inputs("datagrams_not_allowed", "of these, of senders that are not in `allow`"),
    _of_inputs("datagrams_over_limit", "of these, dropped for their sender's `rate_limit`"),
    Counter(
        "datagrams_dropped",
        "counter",
        "of these, not taken because the spool was full",
        lambda parts: _sum(parts, "datagrams_dropped") + parts.intake.datagrams_refused,
        of="receiver",
    ),
    _of_inputs(
        "datagrams_dropped_by_kernel", "never seen by mailingest: the receive buffer was full"
    ),
    _of_inputs("receive_errors", "errors of UDP sockets; they are in the log"),
    _of_inputs("connections_open", "TCP connections now", "gauge"),
    _of_inputs("connections_accepted", "TCP connections that were taken"),
    _of_inputs("connections_refused", "those over `max_connections`"),
    _of_inputs("connections_not_allowed", "those of senders that are not in `allow`"),
    _of_inputs("accepts_failed", "tries to take one that failed, for want of descriptors mostly"),
    _of_inputs("connections_failed", "those that broke"),
    _of_inputs("connections_timed_out", "those that sent nothing for `idle_timeout`"),
    _of_inputs("connections_violating", "those that spoke another protocol than their listener's"),
    _of_inputs("handshakes_failed", "those without a valid certificate, or without TLS"),
    _of_inputs("senders_slowed", "times that a sender over `rate_limit` was made to wait"),
    _of_inputs("frames_streamed", "lines that came over TCP, RELP and Lumberjack"),
    _of_inputs("frames_skipped", "empty lines between them, which are counted nowhere else"),
    _of_inputs("frames_oversized", "lines over TCP that were cut at 64 KiB"),
    _of_inputs("frames_unterminated", "lines whose connection ended before their line feed"),
    _of_inputs("frames_truncated", "lines whose connection ended before their announced length"),
    _of_inputs("files_followed", "log files that are followed and there now", "gauge"),
    _of_inputs("files_rotated", "times that a followed file was replaced by another one"),
    _of_inputs("files_truncated", "times that a followed file was truncated"),
    _of_inputs(
        "file_rests_lost", "files whose rest is nowhere any more, or cannot be read; see the log"
    ),
    _of_inputs("lines_read", "lines that were read from followed files"),
    _of_inputs("lines_empty", "empty lines between them, which are counted nowhere else"),
    _of_inputs("lines_oversized", "lines of files and of the journal that were cut at 64 KiB"),
    _of_inputs("lines_unterminated", "last lines of rotated files without a line feed"),
    _of_inputs("journal_entries", "entries that were read from the systemd journal"),
    _of_inputs("journal_restarts", "times that journalctl ended and was started again"),
    _of_inputs("journal_gaps", "times that the entry read last was gone from the journal"),
    Counter(
        "frames_received",
        "counter",
        "lines that came in, by whatever way",
        lambda parts: parts.pipeline.counters.frames,
    ),
    Counter(
        "frames_empty",
        "counter",
        "of these, empty ones",
        lambda parts: parts.pipeline.counters.frames_empty,
    ),
    Counter(
        "frames_failed",
        "counter",
        "lines that met a fault of mailingest itself; they are in its log and the dead letters",
        lambda parts: parts.processor.frames_failed,
    ),
    Counter(
        "frames_set_aside",
        "counter",
        "lines that took too long, or that the process ended with twice; they are dead letters",
        lambda parts: parts.processor.frames_set_aside,
    ),
    Counter(
        "spool_bytes",
        "gauge",
        "bytes that the spool has on disk",
        lambda parts: parts.spool.size,
        unit="bytes",
        of="receiver",
    ),
    Counter(
        "spool_limit_bytes",
        "gauge",
        "bytes that it may have (`spool.max_bytes`)",
        lambda parts: parts.spool.max_bytes,
        unit="bytes",
        of="receiver",
    ),
    Counter(
        "spool_frames",
        "gauge",
        "lines in it that wait for the store",
        lambda parts: parts.spool.frames,
        of="receiver",
    ),
    Counter(
        "spool_full",
        "state",
        "why it takes no more, or null",
        lambda parts: parts.spool.full,
        of="receiver",
    ),
    Counter(
        "spool_frames_lost",
        "counter",
        "lines that were in it and cannot be read: the disk has damaged them",
        lambda parts: parts.spool.frames_lost,
        of="receiver",
    ),
    Counter(
        "spool_bytes_lost",
        "counter",
        "bytes at its end that cannot be read, of which nobody knows how many lines they were",
        lambda parts: parts.spool.bytes_lost,
        of="receiver",
    ),
    Counter(
        "lines_unmatched",
        "counter",
        "by tag, lines that no pattern matched",
        _unmatched,
        labels=("tag",),
    ),
    Counter(
        "outcomes",
        "counter",
        "lines that say what became of a mail, by outcome and class of the reason (RFC 3463)",
        _outcomes,
        labels=("outcome", "reason"),
    ),
    Counter(
        "lines_late",
        "counter",
        "lines that came more than a quarter of an hour after their own time",
        lambda parts: parts.pipeline.counters.late,
        of="first",
    ),
    Counter(
        "lines_filed_by_arrival",
        "counter",
        "lines dated too far from their arrival to be believed (`_syslog_time_implausible`)",
        lambda parts: parts.pipeline.counters.filed_by_arrival,
    ),
    Counter(
        "lines_peer_unknown",
        "counter",
        "lines about queue IDs of a host from a peer new to it (`_syslog_peer_unknown`)",
        lambda parts: parts.pipeline.peers.lines_unknown,
        of="first",
    ),
    Counter(
        "lines_peer_hosts_exceeded",
        "counter",
        "lines under more host names than `max_hosts_per_peer` (`_syslog_peer_hosts_exceeded`)",
        lambda parts: parts.pipeline.peers.lines_exceeded,
        of="first",
    ),
    Counter(
        "hosts_tags_cut",
        "gauge",
        "hosts whose rsyslog cuts Postfix's tags (RFC 5424); the log names them",
        lambda parts: len(parts.pipeline.senders.cut),
        of="first",
    ),
    Counter(
        "hosts_clock_off",
        "gauge",
        "hosts whose lines are dated far ahead of their arrival, or behind; the log names them",
        lambda parts: len(parts.pipeline.senders.off),
        of="first",
    ),
    Counter(
        "hosts_watched",
        "gauge",
        "hosts whose lines are watched",
        lambda parts: len(parts.pipeline.watch.hosts.last_line),
        of="first",
    ),
    Counter(
        "host_silence_seconds",
        "gauge",
        "by host, since its last line; `other` are those with an address for a name and those "
        "beyond 200",
        _silences,
        unit="seconds",
        labels=("host",),
        of="first",
    ),
    Counter(
        "notices",
        "gauge",
        "what needs a look now, by kind",
        lambda parts: {(kind,): parts.pipeline.watch.board.count(kind) for kind in KINDS},
        labels=("kind",),
    ),
    Counter(
        "notices_begun",
        "counter",
        "how often each kind came up",
        lambda parts: {(kind,): parts.pipeline.watch.board.begun[kind] for kind in KINDS},
        labels=("kind",),
    ),
    Counter(
        "lines_not_watched",
        "counter",
        "lines of hosts, relays and accounts that there was no room to watch",
        lambda parts: parts.pipeline.watch.not_watched,
        of="largest",
    ),
    Counter(
        "queue_ids",
        "gauge",
        "queue IDs remembered now",
        lambda parts: len(parts.pipeline.queue_map),
    ),
    Counter(
        "queue_ids_evicted",
        "counter",
        "queue IDs that had to go for want of room (`max_queue_ids`, `max_bytes`)",
        lambda parts: parts.pipeline.queue_map.counters.entries_evicted,
    ),
    Counter(
        "queue_ids_bytes",
        "gauge",
        "bytes that the queue IDs take, about",
        lambda parts: parts.pipeline.queue_map.size_bytes,
        unit="bytes",
    ),
    Counter(
        "facts_too_long",
        "counter",
        "addresses, Message-IDs and other facts of more than 1,024 characters, which are not kept",
        lambda parts: parts.pipeline.queue_map.counters.facts_too_long,
    ),
    Counter(
        "queue_ids_expired",
        "counter",
        "queue IDs without an end that were forgotten after `lifetime_days`",
        lambda parts: parts.pipeline.queue_map.counters.entries_expired,
    ),
    Counter(
        "deliveries_enriched",
        "counter",
        "delivery events with a known sender",
        lambda parts: parts.pipeline.queue_map.counters.deliveries_enriched,
    ),
    Counter(
        "deliveries_unmatched",
        "counter",
        "delivery events without one",
        lambda parts: parts.pipeline.queue_map.counters.deliveries_unmatched,
    ),
    Counter(
        "deliveries_waiting",
        "gauge",
        "delivery events held back for their qmgr line (2 seconds at most)",
        lambda parts: parts.pipeline.queue_map.waiting,
    ),
    Counter(
        "documents_made",
        "counter",
        "documents that lines became",
        lambda parts: parts.pipeline.counters.documents,
    ),
    Counter(
        "documents_left_out",
        "counter",
        'events that `index.events = "deliveries"` does not want in the store',
        lambda parts: parts.pipeline.counters.documents_left_out,
    ),
    Counter(
        "documents_stored",
        "counter",
        "documents in the store",
        lambda parts: parts.batcher.documents_stored,
    ),
    Counter(
        "documents_duplicate",
        "counter",
        "of these, there already",
        lambda parts: parts.batcher.documents_duplicate,
    ),
    Counter(
        "documents_rejected",
        "counter",
        "refused by the store for good, or set aside: see `mailingest deadletter list`",
        lambda parts: parts.batcher.documents_rejected,
    ),
    Counter(
        "documents_pending",
        "gauge",
        "in memory, not yet stored",
        lambda parts: parts.batcher.pending,
    ),
    Counter(
        "documents_held",
        "gauge",
        "of these, refused: they wait for their index to be set right, or for room in the dead "
        "letters",
        lambda parts: parts.batcher.documents_held,
    ),
    Counter(
        "batches_written",
        "counter",
        "batches of documents that the store has answered for",
        lambda parts: parts.batcher.batches_written,
    ),
    Counter(
        "retries",
        "counter",
        "writes that have been put off because the store was not available",
        lambda parts: parts.batcher.retries,
    ),
    Counter(
        "batch_write_seconds",
        "histogram",
        "how long the store took to answer for a batch",
        lambda parts: parts.batcher.write_seconds,
        unit="seconds",
    ),
    Counter(
        "lag_seconds",
        "gauge",
        "between the time of the newest line of the last batch and its being stored",
        lambda parts: parts.batcher.lag or 0.0,
        unit="seconds",
        of="largest",
    ),
    Counter(
        "store_stalled_seconds",
        "gauge",
        "for how long the store has taken nothing of what waits; 0 if all is well",
        lambda parts: parts.batcher.stalled_seconds,
        unit="seconds",
        of="largest",
    ),
    Counter(
        "dead_letters_bytes",
        "gauge",
        "bytes of dead letters that are there",
        lambda parts: parts.dead_letters.size_bytes,
        unit="bytes",
        of="largest",
    ),
    Counter(
        "ready",
        "gauge",
        "1 if it takes lines, else 0; `/readyz` says why",
        lambda parts: int(not parts.readiness.reasons),
        of="receiver",
    ),
    Counter(
        "workers",
        "gauge",
        "processes that work on lines now (`workers`)",
        lambda parts: parts.workers.running,
        of="receiver",
    ),
    Counter(
        "workers_restarted",
        "counter",
        "times that one of several ended and was started again; see the log",
        lambda parts: parts.workers.restarted,
        of="receiver",
    ),
    Counter(
        "uptime_seconds",
        "gauge",
        "since the start",
        lambda parts: time.monotonic() - parts.started_at,
        unit="seconds",
        of="receiver",
    ),
    Counter(
        "log_lines_lost",
        "counter",
        "lines of mailingest's own log that could not be written, for want of disk space mostly",
        lambda _: log_output.lines_lost,
        of="receiver",
    ),
)


def read_counters(figures: Figures) -> dict[str, Value]:
    """The values of now, by name, as the log and JSON have them."""
    with figures.receiving.listeners.counted_once():
        return {counter.name: _plain(figures.read(counter)) for counter in COUNTERS}


def _plain(reading: Reading) -> Value:
    if isinstance(reading, Histogram):
        return {"count": reading.count, "sum": round(reading.sum, 3)}
    if isinstance(reading, Mapping):
        return {" ".join(labels): value for labels, value in reading.items()}
    return round(reading, 3) if isinstance(reading, float) else reading
