"""`mailingest web`: serves the trace page until SIGTERM or Ctrl-C."""

import asyncio
import ipaddress
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from aiohttp import web

from mailingest.config import Settings, credential, load_zone
from mailingest.errors import UsageError
from mailingest.httpd.connections import Connections
from mailingest.httpd.hosts import served_names
from mailingest.httpd.serving import runner_of
from mailingest.inputs.activation import passed_sockets
from mailingest.inputs.addresses import address_text
from mailingest.inputs.sockets import passed_socket, refusal
from mailingest.logs.logger import log
from mailingest.service.systemd import notify, notify_reloading
from mailingest.spool.status import backlog
from mailingest.web.access import Access
from mailingest.web.app import application
from mailingest.web.bindings import Bindings
from mailingest.web.tokens import Tokens, read_tokens
from mailingest.web.turns import MOST_AT_ONCE
from mailingest.web.users import Users
from mailingest.wiring import build_explanations, build_store

# Passwords that are hashed, and looks at the backlog.
_OTHER_THREADS: Final = 4


_REFUSED: Final = "the configuration is refused, and the page goes on with the one before"


def run(settings: Settings, read: Callable[[], Settings]) -> int:
    """Serve; raises UsageError if it cannot start.

    After SIGHUP it goes on with the settings that ``read`` gives, unless something is wrong with
    them.
    """
    access_of(settings)
    build_explanations(settings)
    asyncio.run(_Server(settings, read).main())
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
    if section.domains and users is None and section.proxy_header is None:
        raise UsageError(
            "web.domains: nobody logs in, so nobody has a name: set web.users_file or "
            "web.proxy_header, or take it out"
        )
    tokens = None
    if section.tokens_file is not None:
        if users is None and section.proxy_header is None:
            raise UsageError(
                "web.tokens_file: nobody has to log in, so no script needs a token: set "
                "web.users_file or web.proxy_header, or take it out"
            )
        tokens = Tokens(read_tokens(credential(section.tokens_file)))
    bindings = Bindings.read(section.domains)
    return Access(
        users=users,
        tokens=tokens,
        bindings=bindings.with_users(users.domains) if users is not None else bindings,
        proxy_header=section.proxy_header,
        proxies=frozenset(section.proxies),
        names=served_names(section.host, section.server_names),
        is_masked=section.mask_local_parts,
        questions_a_minute=section.questions_a_minute,
        question_seconds=section.question_seconds,
    )


class _Server:
    """Serves until a signal comes, and again after SIGHUP."""

    def __init__(self, settings: Settings, read: Callable[[], Settings]) -> None:
        self._settings = settings
        self._read = read
        self._stop = asyncio.Event()
        self._ends = False

    async def main(self) -> None:
        """Serve; raises UsageError if that cannot be begun."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end)
        loop.add_signal_handler(signal.SIGHUP, self._stop.set)
        # Each question has a thread, whoever else asks.
        loop.set_default_executor(ThreadPoolExecutor(MOST_AT_ONCE + _OTHER_THREADS))
        settings = self._settings
        while True:
            try:
                await self._serve(settings)
            except UsageError as error:
                if settings is self._settings:
                    raise
                log.error(_REFUSED, reason=str(error))
                settings = self._settings
                continue
            if self._ends:
                break
            self._settings, settings = settings, self._read_again(settings)
        notify("STOPPING=1")

    def _end(self) -> None:
        self._ends = True
        self._stop.set()

    def _read_again(self, before: Settings) -> Settings:
        notify_reloading()
        try:
            settings = self._read()
            access_of(settings)
            build_explanations(settings)
        except UsageError as error:
            log.error(_REFUSED, reason=str(error))
            return before
        return settings

    async def _serve(self, settings: Settings) -> None:
        """Serve until something is to be done about it."""
        store = build_store(settings).reader()
        by_type = {name: build_store(settings, name).reader() for name in settings.type_names}
        zone, access = load_zone(settings.syslog.timezone), access_of(settings)
        connections = Connections()
        explanations = build_explanations(settings)
        waiting = partial(backlog, settings)
        app = application(store, access, zone, waiting, connections, by_type, explanations)
        runner = runner_of(app)
        try:
            await runner.setup()
            section = settings.web
            passed = passed_socket("tcp", section.host, section.port)
            site = (
                web.TCPSite(runner, section.host, section.port)
                if passed is None
                else web.SockSite(runner, passed)
            )
            try:
                await site.start()
            except OSError as error:
                place = f"web {address_text(section.host, section.port)}"
                raise refusal(place, error, section.port) from None
            _tell_of_sockets()
            host, port = runner.addresses[0][:2]
            notify("READY=1")
            log.info("trace page is served", url=f"http://{address_text(host, port)}/")
            async with asyncio.TaskGroup() as group:
                watching = group.create_task(connections.watch(runner))
                await self._stop.wait()
                watching.cancel()
            if not self._ends:
                self._stop.clear()
        finally:
            await runner.cleanup()
            for reader in (store, *by_type.values()):
                await reader.close()


def _tell_of_sockets() -> None:
    for left in passed_sockets().left:
        log.warning(
            "systemd has a socket that is not at web.host and web.port: nobody is answered there; "
            "`mailingest units` writes mailingest-web.socket as the configuration says",
            address=left,
        )


def _is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address to listen on."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
