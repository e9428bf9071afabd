"""The parts of the service, made of the settings and put together."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from mailingest.config import Settings
from mailingest.delivery.batcher import Batcher
from mailingest.delivery.deadletters import DeadLetters
from mailingest.delivery.replaceable import ReplaceableWriter
from mailingest.pipeline import Pipeline
from mailingest.service.intake import Intake, plan_inputs
from mailingest.service.listeners import Listeners
from mailingest.service.processor import SPOOL_STREAM, FrameQueue, GiveWay, Processor
from mailingest.service.readiness import Readiness
from mailingest.spool.files import make_directory
from mailingest.spool.frame_mark import FrameMark
from mailingest.spool.positions import Positions
from mailingest.spool.queue import Spool
from mailingest.spool.sources import Sources
from mailingest.watching.notices import Notice
from mailingest.wiring import build_batcher, build_pipeline, build_store

if TYPE_CHECKING:
    from mailingest.postfix.spreading import Share
    from mailingest.service.counters import Counter, Reading


@dataclass(frozen=True)
class Receiving:
    """What a line goes through until it is accepted: inputs, intake, spool."""

    listeners: Listeners
    intake: Intake
    spool: Spool
    positions: Positions
    readiness: Readiness
    started_at: float
    """Seconds of a clock that never goes back (time.monotonic)."""
    workers: "WorkerCounts"


@dataclass(slots=True)
class WorkerCounts:
    """How many processes work on the lines now, and how many had to be started again."""

    running: int = 1
    restarted: int = 0


@dataclass(frozen=True)
class Processing:
    """What it goes through then: processor with pipeline, batcher, writer."""

    processor: Processor
    mark: FrameMark
    pipeline: Pipeline
    batcher: Batcher
    dead_letters: DeadLetters
    writer: ReplaceableWriter

    @property
    def unstored(self) -> int:
        """How many frames were taken from the spool and are not stored."""
        return self.pipeline.queue_map.waiting + self.batcher.pending


class Figures(Protocol):
    """How the service is, for counters, metrics and status, however many processes it has."""

    @property
    def receiving(self) -> Receiving:
        """What accepts lines."""

    def read(self, counter: "Counter") -> "Reading":
        """What a counter says now."""

    @property
    def lag(self) -> float | None:
        """Seconds between the time of the newest line stored and its being stored."""

    @property
    def held(self) -> str | None:
        """What waits for an operator, and why; None if nothing does."""

    @property
    def hosts(self) -> Mapping[str, float]:
        """By host, when its last line came, in seconds since 1970."""

    @property
    def notices(self) -> Sequence[Notice]:
        """What needs a look now."""


@dataclass(frozen=True)
class Parts(Processing, Receiving):
    """All of them, in one process; see `Figures`."""

    @property
    def receiving(self) -> Receiving:
        return self

    def read(self, counter: "Counter") -> "Reading":
        return counter.read(self)

    @property
    def lag(self) -> float | None:
        return self.batcher.lag

    @property
    def held(self) -> str | None:
        return self.batcher.held

    @property
    def hosts(self) -> Mapping[str, float]:
        return self.pipeline.watch.hosts.last_line

    @property
    def notices(self) -> Sequence[Notice]:
        return self.pipeline.watch.board.current


def build_receiving(settings: Settings) -> Receiving:
    """Make what accepts lines, and the directories that it needs; raises UsageError."""
    state = settings.state.directory
    make_directory(state, "state.directory")
    make_directory(state / "spool", "state.directory")
    spool = Spool(state / "spool", max_bytes=settings.spool.max_bytes)
    positions = Positions(state / "positions", spool, syncs=settings.spool.sync != "never")
    intake = Intake(spool, positions, syncs_first=settings.spool.sync == "always")
    return Receiving(
        listeners=Listeners(plan_inputs(settings, intake)),
        intake=intake,
        spool=spool,
        positions=positions,
        readiness=Readiness(spool),
        started_at=time.monotonic(),
        workers=WorkerCounts(),
    )


def build_processing(
    settings: Settings,
    frames: FrameQueue,
    mark: FrameMark,
    give_way: GiveWay,
    share: "Share | None" = None,
) -> Processing:
    """Make what works on the lines of a spool; raises UsageError."""
    pipeline = build_pipeline(settings, live=True, share=share)
    store = build_store(settings)
    writer = ReplaceableWriter(store.writer(), store.in_flight)
    dead_letters = DeadLetters(
        settings.state.directory, max_bytes=settings.state.max_dead_letter_bytes
    )
    batcher = build_batcher(
        settings,
        writer,
        dead_letters,
        in_flight=store.in_flight,
        keep_trying=store.keep_trying,
        live=True,
    )
    sources = Sources(settings.default_source, settings.type_names)
    batcher.receipts.follow(SPOOL_STREAM, frames.settle)
    return Processing(
        processor=Processor(frames, pipeline, batcher, give_way, mark, sources),
        mark=mark,
        pipeline=pipeline,
        batcher=batcher,
        dead_letters=dead_letters,
        writer=writer,
    )


def build_parts(settings: Settings) -> Parts:
    """Make all parts, and the directories that they need; raises UsageError."""
    receiving = build_receiving(settings)
    spool = receiving.spool
    mark = FrameMark(settings.state.directory / "spool")
    processing = build_processing(settings, spool, mark, receiving.intake.let_datagrams_in)
    return Parts(**vars(receiving), **vars(processing))
