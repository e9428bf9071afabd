"""Tries everything that a start of the daemon needs, and prints the result line by line."""

import asyncio
import os
from collections.abc import Callable, Mapping
from functools import partial

from mailingest.commands.address_check import AddressCheck
from mailingest.commands.pattern_guard import is_guarded, own_probes
from mailingest.commands.redos_probe import find_slow
from mailingest.config import Settings, StreamListener
from mailingest.errors import MailingestError, UsageError
from mailingest.escaping import escape_terminal
from mailingest.inputs.followed import followed_paths
from mailingest.inputs.journald import why_unreadable
from mailingest.inputs.permissions import hint
from mailingest.inputs.rotated import opened
from mailingest.ownership import foreign_files
from mailingest.service.intake import build_tls
from mailingest.spool.files import make_directory
from mailingest.spool.layout import snapshot_paths, workers_of
from mailingest.spool.status import Status, spool_status
from mailingest.wiring import build_explanations, build_store, read_definitions


def check(settings: Settings, page: Callable[[], object] | None = None) -> bool:
    """Print what is right and what is wrong; True if something is wrong.

    It is the answer that a start would give, also while the service runs.  ``page`` raises
    UsageError where the trace page would refuse to start.
    """
    warnings: list[str] = []
    status = _status(settings)
    addresses = AddressCheck(status.addresses if status is not None else ())
    metrics, web = settings.metrics, settings.web

    def of_page() -> str:
        if page is not None:
            page()
        return addresses.of_page(web.host, web.port)

    is_of_several = max(settings.workers, workers_of(settings.state.directory)) > 1
    checks: list[tuple[str, Callable[[], str]]] = [
        ("patterns", lambda: _patterns(settings, warnings)),
        *(
            (("explanations", lambda: _explanations(settings)),)
            if settings.trace.explanations
            else ()
        ),
        ("state", lambda: _state(settings)),
        *((("workers", lambda: _workers(settings, warnings)),) if is_of_several else ()),
        *(
            ("udp", partial(addresses.of_daemon, "udp", one.host, one.port))
            for one in settings.inputs.udp
        ),
        *((name, _stream(one, addresses)) for name, one in settings.inputs.streams),
        *(("file", _followed(one.path, warnings)) for one in settings.inputs.file),
        *((("journald", _journal),) if settings.inputs.journald.enabled else ()),
        ("store", lambda: asyncio.run(build_store(settings).check(warnings.append))),
        ("web", of_page),
    ]
    if metrics.port is not None:
        looking = partial(addresses.of_daemon, "tcp", metrics.host, metrics.port)
        checks.append(("metrics", looking))
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
    used = {one.name for one in own.used}
    refused = [one for one in slow if one.name in used and is_guarded(settings)]
    warnings += [f"{places[one.name]} {one}" for one in slow if one not in refused]
    if undecided:
        warnings.append(f"no time was left to look whether {undecided} parts of them are slow")
    if refused:
        raise UsageError(
            "; ".join(f"{places[one.name]} {one}" for one in refused)
            + ": make its repetitions exclude one another (docs/patterns.md), or set "
            "grok.allow_slow_patterns"
        )
    return f"{len(definitions)} compile"


def _explanations(settings: Settings) -> str:
    return f"{len(build_explanations(settings))} kinds of replies"


def _workers(settings: Settings, warnings: list[str]) -> str:
    cores = len(os.sched_getaffinity(0))
    if settings.workers > cores:
        warnings.append(
            f"workers: {settings.workers} processes for {cores} cores: more than there are cores "
            "only cost memory"
        )
    before = workers_of(settings.state.directory)
    has_state = before > 1 or snapshot_paths(settings.state.directory, 1)[0].exists()
    if before != settings.workers and has_state:
        return (
            f"{settings.workers}, and the state is for {before}: with the next start, what is in "
            "the spool is stored, and the mails that are known are divided anew"
        )
    return f"{settings.workers} work on the lines"


def _state(settings: Settings) -> str:
    directory = settings.state.directory
    make_directory(directory, "state.directory")
    if foreign := foreign_files(directory, settings.sqlite_directory):
        raise UsageError(foreign)
    return f"{directory} is writable"


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


def _stream(listener: StreamListener, addresses: AddressCheck) -> Callable[[], str]:
    attempt = partial(addresses.of_daemon, "tcp", listener.host, listener.port)
    tls = build_tls(listener.tls)

    def with_tls() -> str:
        if tls is None:
            return attempt()
        tls.load()
        return f"{attempt()}, and its certificate and key are right"

    return with_tls


def _followed(path: str, warnings: list[str]) -> Callable[[], str]:
    def attempt() -> str:
        files = list(followed_paths(path).values())
        if not files:
            warnings.append(f"nothing matches {path} yet; a file is followed once it is there")
        for file in files:
            try:
                opened(file).close()
            except FileNotFoundError:
                warnings.append(f"{file} does not exist yet; it is followed as soon as it does")
            except OSError as error:
                raise UsageError(f"{file}: {hint(file, error)}") from None
        return f"{path} can be followed"

    return attempt


def _journal() -> str:
    if (reason := why_unreadable()) is not None:
        raise UsageError(reason)
    return "the journal can be read"
