"""`mailingest web`: serves the trace page until SIGTERM or Ctrl-C."""

import asyncio
import ipaddress
import signal
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

import structlog
from aiohttp import web

from mailingest.config import Settings, credential, load_zone
from mailingest.errors import UsageError
from mailingest.httpd.connections import Connections
from mailingest.httpd.hosts import served_names
from mailingest.httpd.serving import runner_of
from mailingest.inputs.sockets import address_text, refusal
from mailingest.service.systemd import notify
from mailingest.spool.status import backlog
from mailingest.web.access import Access
from mailingest.web.app import application
from mailingest.web.turns import MOST_AT_ONCE
from mailingest.web.users import Users
from mailingest.wiring import build_store

# Passwords that are hashed, and looks at the backlog.
_OTHER_THREADS: Final = 4

_log = structlog.get_logger(__name__)


def run(settings: Settings) -> int:
    """Serve; raises UsageError if it cannot start."""
    access = access_of(settings)
    asyncio.run(_serve(settings, access))
    return 0


def access_of(settings: Settings) -> Access:
    """Who may ask; raises UsageError where that is not clear, or anybody on the network could."""
    section = settings.web
    if section.users_file is not None and section.proxy_header is not None:
        raise UsageError(
            "web.users_file and web.proxy_header are both set, and only one of them can say who "
            "asks: take out web.users_file if a proxy logs users in, or else web.proxy_header"
        )
    users = Users(credential(section.users_file)) if section.users_file is not None else None
    if users is None and section.proxy_header is None and not _is_loopback(section.host):
        raise UsageError(
            f"web.host: {section.host} can be reached by others: set web.users_file or "
            "web.proxy_header, so that they have to log in"
        )
    return Access(
        users=users,
        proxy_header=section.proxy_header,
        proxies=frozenset(section.proxies),
        names=served_names(section.host, section.server_names),
        is_masked=section.mask_local_parts,
        questions_a_minute=section.questions_a_minute,
        question_seconds=section.question_seconds,
    )


async def _serve(settings: Settings, access: Access) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    # Each question has a thread, whoever else asks.
    loop.set_default_executor(ThreadPoolExecutor(MOST_AT_ONCE + _OTHER_THREADS))
    store = build_store(settings).reader()
    by_type = {name: build_store(settings, name).reader() for name in settings.type_names}
    zone = load_zone(settings.syslog.timezone)
    connections = Connections()
    app = application(store, access, zone, partial(backlog, settings), connections, by_type)
    runner = runner_of(app)
    try:
        await runner.setup()
        section = settings.web
        site = web.TCPSite(runner, section.host, section.port)
        try:
            await site.start()
        except OSError as error:
            raise refusal(f"web {address_text(section.host, section.port)}", error) from None
        host, port = runner.addresses[0][:2]
        notify("READY=1")
        _log.info("trace page is served", url=f"http://{address_text(host, port)}/")
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(connections.watch(runner))
            await stop.wait()
            watching.cancel()
    finally:
        notify("STOPPING=1")
        await runner.cleanup()
        for reader in (store, *by_type.values()):
            await reader.close()


def _is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address to listen on."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
