"""Tries everything that a start of the daemon needs, and prints the result line by line."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Literal

from mailingest.commands.pattern_guard import own_probes
from mailingest.commands.redos_probe import find_slow
from mailingest.config import Settings, StreamListener
from mailingest.errors import MailingestError, UsageError
from mailingest.escaping import escape_terminal
from mailingest.inputs.sockets import address_text, bound_socket
from mailingest.service.intake import build_tls
from mailingest.spool.files import make_directory
from mailingest.spool.status import Status, spool_status
from mailingest.wiring import build_store, read_definitions


def check(settings: Settings) -> bool:
    """Print what is right and what is wrong; True if something is wrong."""
    warnings: list[str] = []
    checks: list[tuple[str, Callable[[], str]]] = [
        ("patterns", lambda: _patterns(settings, warnings)),
        ("state", lambda: _state(settings)),
        *(("udp", _listener("udp", one.host, one.port)) for one in settings.inputs.udp),
        *((name, _stream_listener(name, one)) for name, one in settings.inputs.streams),
        ("store", lambda: asyncio.run(build_store(settings).check(warnings.append))),
    ]
    status = _status(settings)
    if status is not None and (counters := status.counters) is not None:
        checks.append(("delivery", lambda: _delivery(status.held)))
        checks.append(("senders", lambda: _senders(counters, warnings)))
    print("ok     configuration")
    wrong = False
    for name, attempt in checks:
        try:
            print(f"ok     {name}: {attempt()}")
        except MailingestError as error:
            wrong = True
            print(f"WRONG  {name}: {error}")
        for warning in warnings:
            print(f"warn   {name}: {warning}")
        warnings.clear()
    return wrong


def _patterns(settings: Settings, warnings: list[str]) -> str:
    definitions = list(read_definitions(settings))
    places = {one.name: one.place for one in definitions}
    own = own_probes(settings, definitions)
    # Those that lines are matched against come first, lest the time is spent on others.
    slow, undecided = find_slow([*own.used, *own.others])
    warnings += [f"{places[one.name]} {one}" for one in slow]
    if undecided:
        warnings.append(f"no time was left to look whether {undecided} parts of them are slow")
    return f"{len(definitions)} compile"


def _state(settings: Settings) -> str:
    make_directory(settings.state.directory, "state.directory")
    return f"{settings.state.directory} is writable"


def _status(settings: Settings) -> Status | None:
    """What the daemon says, if one runs."""
    try:
        return spool_status(settings)
    except UsageError:
        return None  # what is wrong with its directory is told of the state


def _delivery(held: str | None) -> str:
    if held is not None:
        raise UsageError(escape_terminal(held))
    return "the running daemon is not held up"


def _senders(counters: Mapping[str, int | str | None], warnings: list[str]) -> str:
    """What the daemon has noticed about the hosts that send to it."""
    if cut := counters.get("hosts_tags_cut"):
        warnings.append(
            f"tags of {cut} hosts arrive cut at the slash: set "
            'global(parser.permitSlashInProgramName="on") in their rsyslog'
        )
    if off := counters.get("hosts_clock_off"):
        warnings.append(
            f"lines of {off} hosts are dated far from their arrival: look at their clocks, and at "
            "syslog.timezone and syslog.host_timezones; the daemon's log names them"
        )
    if filed := counters.get("lines_filed_by_arrival"):
        warnings.append(
            f"{filed} lines were dated too far from their arrival to be believed, and are filed "
            "under it (_syslog_time_implausible): somebody's clock is wrong, or forges them"
        )
    if unknown := counters.get("lines_peer_unknown"):
        warnings.append(
            f"{unknown} lines about queue IDs came from peers new to their hosts "
            "(_syslog_peer_unknown): the daemon's log names them; `allow` says who may send"
        )
    return "the running daemon was asked"


def _stream_listener(name: str, listener: StreamListener) -> Callable[[], str]:
    attempt = _listener("tcp", listener.host, listener.port)
    tls = build_tls(listener.tls)

    def with_tls() -> str:
        if tls is None:
            return attempt()
        tls.load()
        return f"{attempt()}, and its certificate and key are right"

    return with_tls


def _listener(protocol: Literal["udp", "tcp"], host: str, port: int) -> Callable[[], str]:
    def attempt() -> str:
        bound_socket(protocol, host, port).close()
        return f"{address_text(host, port)} is free"

    return attempt
