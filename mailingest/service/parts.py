"""The parts of the service, made of the settings and put together."""

import time
from dataclasses import dataclass

from mailingest.config import Settings
from mailingest.delivery.batcher import Batcher
from mailingest.delivery.deadletters import DeadLetters
from mailingest.delivery.replaceable import ReplaceableWriter
from mailingest.pipeline import Pipeline
from mailingest.service.intake import Intake, plan_inputs
from mailingest.service.listeners import Listeners
from mailingest.service.processor import SPOOL_STREAM, Processor
from mailingest.service.readiness import Readiness
from mailingest.spool.files import make_directory
from mailingest.spool.frame_mark import FrameMark
from mailingest.spool.positions import Positions
from mailingest.spool.queue import Spool
from mailingest.spool.sources import Sources
from mailingest.wiring import build_batcher, build_pipeline, build_store


@dataclass(frozen=True, slots=True)
class Parts:
    """What a line goes through: inputs, intake, spool, processor with pipeline, batcher, writer."""

    listeners: Listeners
    intake: Intake
    spool: Spool
    positions: Positions
    processor: Processor
    mark: FrameMark
    pipeline: Pipeline
    batcher: Batcher
    dead_letters: DeadLetters
    writer: ReplaceableWriter
    readiness: Readiness
    started_at: float
    """Seconds of a clock that never goes back (time.monotonic)."""


def build_parts(settings: Settings) -> Parts:
    """Make the parts, and the directories that they need; raises UsageError."""
    state = settings.state.directory
    make_directory(state, "state.directory")
    make_directory(state / "spool", "state.directory")
    spool = Spool(state / "spool", max_bytes=settings.spool.max_bytes)
    positions = Positions(state / "positions", spool, syncs=settings.spool.sync != "never")
    intake = Intake(spool, positions, syncs_first=settings.spool.sync == "always")
    pipeline = build_pipeline(settings, live=True)
    store = build_store(settings)
    writer = ReplaceableWriter(store.writer(), store.in_flight)
    dead_letters = DeadLetters(state, max_bytes=settings.state.max_dead_letter_bytes)
    batcher = build_batcher(
        settings,
        writer,
        dead_letters,
        in_flight=store.in_flight,
        keep_trying=store.keep_trying,
        live=True,
    )
    mark = FrameMark(state / "spool")
    sources = Sources(settings.default_source, settings.type_names)
    batcher.receipts.follow(SPOOL_STREAM, spool.settle)
    return Parts(
        listeners=Listeners(plan_inputs(settings, intake)),
        intake=intake,
        spool=spool,
        positions=positions,
        processor=Processor(spool, pipeline, batcher, intake.let_datagrams_in, mark, sources),
        mark=mark,
        pipeline=pipeline,
        batcher=batcher,
        dead_letters=dead_letters,
        writer=writer,
        readiness=Readiness(spool),
        started_at=time.monotonic(),
    )
