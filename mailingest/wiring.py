"""The composition root: settings -> the parts that they describe.

Only the modules of parts that are built are imported: a trace of a store needs no pattern.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from mailingest.config import Settings, data_directory, load_zone
from mailingest.errors import UsageError
from mailingest.grok.definitions import Definition, parse_definitions
from mailingest.stores.protocol import Progress, Reader, Store, Writer, no_progress
from mailingest.syslog.arrival import BelievedTimes

if TYPE_CHECKING:
    from mailingest.delivery.batcher import Batcher, RejectionSink
    from mailingest.inputs.files import LogFile
    from mailingest.pipeline import Pipeline
    from mailingest.postfix.fields import Field
    from mailingest.postfix.parser import EventParser
    from mailingest.postfix.spreading import Share
    from mailingest.stores.logfiles.parsing import LineReading
    from mailingest.stores.sqlite.store import SqliteStore
    from mailingest.syslog.header import RecordDecoder
    from mailingest.trace.explanations import Explanations

SECONDS_OF_A_DAY = 86_400.0

_LEFT_BEHIND = re.compile(
    r"\A[.#]|~\Z|\.(?:bak|orig|rej|sw[a-p]|rpm(?:save|new|orig)|dpkg-[a-z]+|ucf-[a-z]+)\Z"
)


def read_definitions(settings: Settings) -> Iterator[Definition]:
    """All patterns, the shipped ones first; raises UsageError.

    Every file is read, whatever its name, but those that editors and packages leave behind.
    """
    for directory in (data_directory("patterns"), *settings.grok.patterns_dirs):
        try:
            files = sorted(
                path
                for path in directory.iterdir()
                if path.is_file() and _LEFT_BEHIND.search(path.name) is None
            )
        except OSError as error:
            raise UsageError(
                f"grok.patterns_dirs: cannot read {directory}: {error.strerror}"
            ) from None
        for path in files:
            try:
                text = path.read_text("utf-8")
            except OSError as error:
                raise UsageError(f"{path}: cannot read the patterns: {error.strerror}") from None
            except UnicodeError:
                raise UsageError(f"{path}: the patterns are not UTF-8: convert the file") from None
            yield from parse_definitions(str(path), text)


def build_decoder(settings: Settings, *, live: bool) -> "RecordDecoder":
    """The reader of syslog headers."""
    from mailingest.syslog.header import RecordDecoder
    from mailingest.syslog.timestamps import Clock

    syslog = settings.syslog
    clock = Clock(
        load_zone(syslog.timezone),
        {host: load_zone(name) for host, name in syslog.host_timezones.items()},
        in_order=not live,
    )
    return RecordDecoder(clock, charset=syslog.charset)


def build_parser(settings: Settings) -> "EventParser":
    """The parser with all patterns; raises UsageError if one is wrong.

    The shipped ones, which the tests have compiled, are compiled when a line needs them, and those
    of the site, and what refers to them, at once.
    """
    return _parser(
        tuple(read_definitions(settings)),
        tuple(settings.grok.declared_fields),
        tuple(settings.grok.programs.items()),
    )


@lru_cache(maxsize=1)
def _parser(
    definitions: Sequence[Definition],
    fields: Sequence["Field"],
    programs: Sequence[tuple[str, str]],
) -> "EventParser":
    from mailingest.postfix.parser import EventParser

    shipped = data_directory("patterns")
    return EventParser(
        definitions,
        own_fields=fields,
        own_programs=dict(programs),
        tested={one.file for one in definitions if Path(one.file).parent == shipped},
    )


def build_replay_share(settings: Settings, number: int, of: int) -> "Share":
    """The lines of one of several workers that read the same logs."""
    from mailingest.postfix.spreading import ReplayShare

    return ReplayShare(number, of, settings.correlation.max_queue_ids)


def build_service_share(number: int, of: int) -> "Share | None":
    """The lines of one of several workers of the service; None if it is the only one."""
    from mailingest.postfix.spreading import ServiceShare

    return None if of == 1 else ServiceShare(number, of)


def build_pipeline(
    settings: Settings,
    *,
    live: bool,
    wait: float | None = None,
    everything: bool = False,
    share: "Share | None" = None,
) -> "Pipeline":
    """The core as one object; raises UsageError if a pattern is wrong.

    With ``everything``, a document is made of each event, whatever the store is set to want.
    Live, no line waits for its pattern to be compiled; at an edge, whose lines go to a topic, none
    is parsed, and documents are what a record of it says.  ``wait`` is how long an event may be
    held, in seconds; None: as long as the queue map has it.  Workers that each have a ``share`` of
    the lines have a share of the memory for mails as well.
    """
    from mailingest.documents import DocumentMaker
    from mailingest.forwarding.lines import LineMaker, LineParser
    from mailingest.pipeline import Parser, Pipeline
    from mailingest.postfix.enrichment import WAIT, QueueMap
    from mailingest.postfix.selection import is_of_a_mail
    from mailingest.syslog.peers import Peers

    is_edge = live and bool(settings.kafka.servers)
    parser: Parser = LineParser() if is_edge else _compiled(build_parser(settings), live=live)
    is_selecting = settings.index.events == "deliveries" and not everything
    workers = 1 if share is None else share.of
    return Pipeline(
        build_decoder(settings, live=live),
        parser,
        QueueMap(
            wait=WAIT if wait is None else wait,
            capacity=settings.correlation.max_queue_ids // workers,
            max_bytes=settings.correlation.max_bytes // workers,
            lifetime=settings.correlation.lifetime_days * SECONDS_OF_A_DAY,
        ),
        LineMaker(settings.index.prefix, settings.kafka.key)
        if is_edge
        else DocumentMaker(settings.index.prefix),
        live=live,
        wanted=is_of_a_mail if is_selecting and not is_edge else None,
        believed=_believed_times(settings, settings.retention.days),
        believed_of={
            name: _believed_times(settings, days) for name, days in settings.retention_days.items()
        },
        peers=Peers(settings.inputs.max_hosts_per_peer),
        source=settings.default_source,
        share=share,
    )


def _compiled(parser: "EventParser", *, live: bool) -> "EventParser":
    if live:
        parser.compile()
    return parser


def _believed_times(settings: Settings, days: int | None) -> BelievedTimes:
    """What is over when it comes in would be deleted with the next run of the retention."""
    syslog = settings.syslog
    behind = syslog.max_days_behind or days or BelievedTimes().days_behind
    return BelievedTimes(syslog.max_days_ahead, behind)


def line_reading(settings: Settings) -> "LineReading":
    """How a trace reads the lines of files."""
    from mailingest.stores.logfiles.parsing import LineReading

    return LineReading(
        lambda: build_decoder(settings, live=False),
        lambda: build_parser(settings),
        settings.default_source,
    )


def first_time(settings: Settings) -> Callable[[bytes, float], float | None]:
    """A reader of the time of a line, to put files in order; None for a line without header."""
    from mailingest.syslog.header import HEADER_NOMATCH

    decoder = build_decoder(settings, live=False)

    def read(line: bytes, mtime: float) -> float | None:
        record = decoder.decode(line, reference=mtime)
        return None if HEADER_NOMATCH in record.problems else float(record.moment.seconds)

    return read


def log_files(
    settings: Settings, arguments: Sequence[str], year: int | None = None
) -> "list[LogFile]":
    """The log files that are named, oldest first; raises UsageError.

    The ``year`` is the one of the last line of each, if its time stamps have none.
    """
    from mailingest.inputs.rotation import expand
    from mailingest.inputs.years import set_year
    from mailingest.syslog.timestamps import YEAR_TOLERANCE

    read = first_time(settings)
    if year is None:
        return expand(arguments, read)
    zone = load_zone(settings.syslog.timezone)
    # No stamp of the year is later, whatever the clock that wrote it.
    end = datetime(year + 1, 1, 1, tzinfo=zone).timestamp() - YEAR_TOLERANCE - 1

    def last_time(lines: Sequence[bytes], reference: float) -> float | None:
        times = (read(line, reference) for line in reversed(lines))
        return next((time for time in times if time is not None), None)

    return expand(arguments, read, lambda file: set_year(file, end, last_time))


def build_explanations(settings: Settings) -> "Explanations":
    """What replies mean: the operator's files, then the shipped one; raises UsageError."""
    from mailingest.config.explanations import read_rules
    from mailingest.trace.explanations import Explanation, Explanations, Rule

    files = [Path(file) for file in settings.trace.explanations]
    files.append(data_directory("config") / "explanations.toml")
    return Explanations(
        Rule(
            one.code,
            one.text,
            one.relay,
            {name: Explanation(said.means, said.advice) for name, said in one.words.items()},
        )
        for file in files
        for one in read_rules(file)
    )


def build_store(settings: Settings, only: str | None = None) -> Store:
    """The store that is set; the one place where a kind of store is chosen.

    It is of all types, or of the ``only`` one.  Only its own modules are imported: the
    Elasticsearch client alone takes 20 MB.
    """
    types = settings.type_names if only is None else (only,)
    if settings.elasticsearch.hosts:
        from mailingest.stores.elastic.store import ElasticStore

        return ElasticStore(
            settings.elasticsearch,
            types,
            lambda: build_parser(settings),
            settings.grok.declared_fields,
        )
    if settings.victorialogs.url is not None:
        from mailingest.stores.victorialogs.store import VictoriaLogsStore

        return VictoriaLogsStore(settings.victorialogs, types, settings.retention_days)
    if settings.kafka.servers:
        return _kafka_store(settings)
    if settings.ndjson.path is not None:
        from mailingest.stores.ndjson.store import NdjsonStore

        return NdjsonStore(settings.ndjson.path)
    from mailingest.stores.sqlite.store import SqliteStore

    return SqliteStore(settings.sqlite_directory, types)


def _kafka_store(settings: Settings) -> Store:
    try:
        from mailingest.stores.kafka.store import KafkaStore
    except ImportError as error:
        raise UsageError(
            f"kafka.servers: {error}: install the client with `pip install 'mailingest[kafka]'`"
        ) from None
    return KafkaStore(settings.kafka)


def embedded_store(settings: Settings, only: str | None = None) -> "SqliteStore":
    """The store if it is the embedded one; raises UsageError for another."""
    from mailingest.stores.sqlite.store import SqliteStore

    store = build_store(settings, only)
    if not isinstance(store, SqliteStore):
        raise UsageError(f"only for the embedded store, and events go to {store_place(settings)}")
    return store


def store_place(settings: Settings) -> str:
    """Where the store is, for people."""
    hosts = ", ".join(settings.elasticsearch.hosts)
    if settings.kafka.servers:
        return f"topic {settings.kafka.topic} of {', '.join(settings.kafka.servers)}"
    return (
        hosts or settings.victorialogs.url or settings.ndjson.path or str(settings.sqlite_directory)
    )


def temporary_store(settings: Settings, directory: Path) -> Store:
    """A store for as long as the directory is there."""
    from mailingest.stores.sqlite.store import SqliteStore

    return SqliteStore(directory, (settings.index.prefix,))


def build_batcher(
    settings: Settings,
    writer: Writer,
    dead_letters: "RejectionSink",
    *,
    in_flight: int = 1,
    keep_trying: bool = False,
    live: bool = False,
) -> "Batcher":
    """What writes documents in batches of the sizes that are set; see `Batcher`."""
    from mailingest.delivery.batcher import Batcher

    return Batcher(
        writer,
        dead_letters,
        max_documents=settings.batch.max_documents,
        max_bytes=settings.batch.max_bytes,
        max_age=settings.batch.max_age,
        capacity=settings.batch.capacity,
        in_flight=in_flight,
        keep_trying=keep_trying,
        live=live,
    )


def build_reader(
    settings: Settings,
    files: Sequence[str] = (),
    progress: Progress = no_progress,
    *,
    year: int | None = None,
    only: str | None = None,
) -> Reader:
    """The reader of the store that is set, or of log files if some are named; raises UsageError.

    Of the store, it is that of all types, or of the ``only`` one.  ``progress`` hears of what this
    process reads itself.  ``year`` is as in `log_files`.
    """
    if files:
        from mailingest.stores.logfiles.reader import LogFilesReader

        return LogFilesReader(log_files(settings, files, year), line_reading(settings), progress)
    return build_store(settings, only).reader(progress)
