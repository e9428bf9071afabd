"""Frames -> the spool: the inputs only append, so a store that is slow or away holds up nobody.

When the spool is full, TCP senders wait, and datagrams are refused.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Final

from mailingest.config import (
    FollowedFiles,
    Journald,
    Settings,
    StreamListener,
    Tls,
    UdpListener,
    credential,
)
from mailingest.documents import ACKNOWLEDGED
from mailingest.inputs.allowed import AllowedSenders
from mailingest.inputs.followed import FileInput
from mailingest.inputs.journald import JournaldInput
from mailingest.inputs.rate_limit import RateLimit
from mailingest.inputs.stream import TcpInput
from mailingest.inputs.tls import TlsServer
from mailingest.inputs.udp import UdpInput
from mailingest.logs.logger import log
from mailingest.service.listeners import InputPlan
from mailingest.service.readings import SpooledReading
from mailingest.spool.positions import Positions
from mailingest.spool.queue import Spool
from mailingest.spool.records import FrameBatch
from mailingest.spool.sources import to_metadata
from mailingest.syslog.framing import FrameReader
from mailingest.syslog.lumberjack import LumberjackReader
from mailingest.syslog.relp import RelpReader
from mailingest.syslog.sources import Source

# Datagrams of one turn of the event loop are appended at once, up to about this size.
_MOST_BYTES: Final = 64 * 1024
# Datagrams go before lines that are safe in the spool: each time they are let in, up to N turns, as
# long as two of them bring what uvloop reads at once.
_MOST_TURNS: Final = 32
_BUSY_TURN: Final = 32
# A stream is named by the millisecond of the start, and below it the number of the connection.
_CONNECTION_BITS: Final = 22
# What a sender may send at once that has been silent for so long.
_BURST_SECONDS: Final = 10
_FRAMINGS: Final[Mapping[str, type[FrameReader | RelpReader | LumberjackReader]]] = {
    "tcp": FrameReader,
    "relp": RelpReader,
    "lumberjack": LumberjackReader,
}


@dataclass(slots=True)
class _AllDatagrams:
    """Those of all inputs, also of inputs that have ended."""

    taken: int = 0
    refused: int = 0
    waiting: dict["Datagrams", None] = field(default_factory=dict)


class Datagrams:
    """Appends to the spool what one input receives, all of a turn of the event loop at once.

    ``metadata`` are those of the records: what the input says of all its lines.
    """

    def __init__(self, spool: Spool, metadata: bytes, of_all: _AllDatagrams) -> None:
        self._spool = spool
        self._metadata = metadata
        self._of_all = of_all
        self._datagrams: list[tuple[str, bytes]] = []
        self._bytes = 0

    def take(self, payload: bytes, peer: str) -> bool:
        """Take a datagram; False if the spool is full."""
        if self._spool.full is not None:
            return False
        self._of_all.taken += 1
        if not self._datagrams:
            self._of_all.waiting[self] = None
            asyncio.get_running_loop().call_soon(self.append)
        self._datagrams.append((peer, payload))
        self._bytes += len(payload)
        if self._bytes >= _MOST_BYTES:
            self.append()
        return True

    def append(self) -> None:
        """Append what one turn of the event loop brought."""
        if not self._datagrams:
            return
        datagrams, self._datagrams, self._bytes = self._datagrams, [], 0
        self._of_all.waiting.pop(self, None)
        now = time.time()
        batches = [
            FrameBatch(now, peer, 0, [payload for _, payload in group], self._metadata)
            for peer, group in groupby(datagrams, itemgetter(0))
        ]
        if not self._spool.append(batches):
            self._of_all.refused += len(datagrams)


class Intake:
    """Appends to the spool what inputs receive.

    With ``syncs_first``, what a stream brought is on the disk before it counts as taken.
    ``positions`` are those of what is read.
    """

    def __init__(self, spool: Spool, positions: Positions, *, syncs_first: bool = False) -> None:
        self._positions = positions
        self.syncs_first = syncs_first
        self._spool = spool
        self._streams = time.time_ns() // 1_000_000 << _CONNECTION_BITS
        self._of_all = _AllDatagrams()

    def datagrams(self, metadata: bytes = b"") -> Datagrams:
        """What takes the datagrams of one more input."""
        return Datagrams(self._spool, metadata, self._of_all)

    @property
    def datagrams_refused(self) -> int:
        """Datagrams that were taken from inputs, and that the spool then had no room for."""
        return self._of_all.refused

    def append_datagrams(self) -> None:
        """Append what one turn of the event loop brought."""
        for one in list(self._of_all.waiting):
            one.append()

    async def take_frames(
        self,
        frames: list[bytes],
        peer: str,
        connection: int,
        *,
        metadata: bytes = b"",
        acknowledged: bool = False,
    ) -> None:
        """Take frames of a connection, waiting for room in the spool.

        ``metadata`` are as in `Datagrams`.  If they are ``acknowledged``, what comes again over
        another connection are those without an acknowledgement, and not all.
        """
        stream = self._streams + connection + (ACKNOWLEDGED if acknowledged else 0)
        try:
            while not self._spool.append([FrameBatch(time.time(), peer, stream, frames, metadata)]):
                await self._spool.room()
        except asyncio.CancelledError:
            log.error("lines were read and not taken", peer=peer, frames=len(frames))
            raise
        if self.syncs_first:
            await self._spool.sync()

    def reading(self, name: str, source: Source) -> SpooledReading:
        """What takes the lines of something that is read, and has that name for ever."""
        return SpooledReading(self._spool, self._positions, name, source)

    async def let_datagrams_in(self) -> None:
        """Put into the spool what the kernel has: its buffer is small, and the spool is not."""
        for _ in range(_MOST_TURNS):
            before = self._of_all.taken
            # What one turn reads from a socket, the next one or two hand on.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            if self._of_all.taken - before < _BUSY_TURN:
                return


def plan_inputs(settings: Settings, intake: Intake) -> list[InputPlan]:
    """The inputs that are set, which hand their frames to the intake."""
    udp = [
        InputPlan("udp", one, source, partial(_udp_input, one, source, intake))
        for one in settings.inputs.udp
        for source in [settings.source_of(one)]
    ]
    streams = [
        InputPlan(protocol, one, source, partial(_stream_input, protocol, one, source, intake))
        for protocol, one in settings.inputs.streams
        for source in [settings.source_of(one)]
    ]
    return [*udp, *streams, *_read_inputs(settings, intake)]


def build_tls(settings: Tls | None) -> TlsServer | None:
    """What speaks TLS as it is set; nothing is read yet."""
    if settings is None:
        return None
    return TlsServer(
        credential(settings.certificate),
        credential(settings.key),
        settings.client_ca and credential(settings.client_ca),
        settings.allow_names,
    )


def _rate_limit(listener: UdpListener | StreamListener) -> RateLimit | None:
    if listener.rate_limit is None:
        return None
    burst = listener.rate_burst or max(1, round(listener.rate_limit * _BURST_SECONDS))
    return RateLimit(listener.rate_limit, burst)


def _udp_input(listener: UdpListener, source: Source, intake: Intake) -> UdpInput:
    return UdpInput(
        listener.host,
        listener.port,
        receive_buffer=listener.receive_buffer,
        deliver=intake.datagrams(to_metadata(source)).take,
        allowed=AllowedSenders(listener.allow),
        rate_limit=_rate_limit(listener),
    )


def _stream_input(
    protocol: str, listener: StreamListener, source: Source, intake: Intake
) -> TcpInput:
    return TcpInput(
        listener.host,
        listener.port,
        max_connections=listener.max_connections,
        idle_timeout=listener.idle_timeout,
        deliver=partial(
            intake.take_frames,
            metadata=to_metadata(source),
            acknowledged=_FRAMINGS[protocol].acknowledges,
        ),
        framing=_FRAMINGS[protocol],
        allowed=AllowedSenders(listener.allow),
        rate_limit=_rate_limit(listener),
        tls=build_tls(listener.tls),
        protocol=protocol,
    )


def _read_inputs(settings: Settings, intake: Intake) -> list[InputPlan]:
    """Those that read what others have written."""
    inputs = settings.inputs
    journal = settings.source_of(inputs.journald)
    plans = [
        InputPlan("file", one, source, partial(_file_input, one, source, intake))
        for one in inputs.file
        for source in [settings.source_of(one)]
    ]
    if inputs.journald.enabled:
        build = partial(_journald_input, inputs.journald, journal, intake)
        plans.append(InputPlan("journald", inputs.journald, journal, build))
    return plans


def _file_input(files: FollowedFiles, source: Source, intake: Intake) -> FileInput:
    return FileInput(
        files.path,
        from_beginning=files.start == "beginning",
        reading=lambda name: intake.reading(f"file {name}", source),
    )


def _journald_input(journal: Journald, source: Source, intake: Intake) -> JournaldInput:
    return JournaldInput(
        intake.reading("journald", source), since=journal.since, matches=journal.matches
    )
