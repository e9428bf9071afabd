"""Passwords over HTTP: who logs in, and that guessing is slow and keeps nobody else out.

Wrong passwords are counted for each account and address.  So whoever guesses, also from behind the
proxy that all come through, spends no other account's tries.  A browser that has logged in once
has a cookie that says so for this account ("device cookie", OWASP's Blocking Brute Force Attacks):
it has tries of its own, which somebody without it cannot spend.  What is left is an account under
attack whose user comes through the same address with a browser that never logged in: it has to
wait until the attack pauses, since nothing tells its first try from a guess.

Passwords of one account are hashed one after the other, and two at a time in all.  So nobody waits
for longer than one hash of each other account.
"""

import asyncio
import ipaddress
from collections import Counter, defaultdict
from typing import Final

from aiohttp import web

from mailingest.logs.logger import log
from mailingest.web.rate_limit import RateLimit
from mailingest.web.users import Login, Users, read_login

# Wrong passwords for an account from one address: more than anyone mistypes.
_FAILURES_A_MINUTE: Final = 20
# Passwords that are hashed at the same time.  Each takes a thread, and 16 MB.
_MOST_HASHED: Final = 2
# Those of one account that wait for it, from whatever addresses; 0.25 s each.
_MOST_WAITING: Final = 60
# A provider gives a customer so many addresses.
_IPV6_NETWORK: Final = 64

_DEVICE: Final = "mailingest-device"
_DEVICE_SECONDS: Final = 90 * 86_400

_NEW_DEVICE: Final = web.RequestKey("new_device", str)

_Account = tuple[str, bool]
"""A name, "" for all that there are not, and whether the browser has logged in before."""


class Logins:
    """Logins against a file of users."""

    def __init__(self, users: Users) -> None:
        self._users = users
        self._failures = RateLimit(_FAILURES_A_MINUTE)
        self._hashing = asyncio.Semaphore(_MOST_HASHED)
        # As many as there are users, and one for all other names.
        self._turns: defaultdict[_Account, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._waiting: Counter[_Account] = Counter()

    async def user(self, request: web.Request, peer: str) -> str:
        """The name of who logs in; raises HTTPUnauthorized or HTTPTooManyRequests.

        A try is counted before the password is hashed, and given back if that is right: logins
        that come at the same time are not more guesses than others.
        """
        login = _login_of(request)
        if login is None:
            raise unauthorized()
        device = request.cookies.get(_DEVICE, "")
        has_device = self._users.knows_device(login.name, device)
        # A try of one who has no cookie cannot be taken for one of those who have it.
        key = f"{login.name} {device if has_device else network_of(peer)}"
        if self._failures.is_spent(key):
            raise too_many()
        if not self._users.remembers(login):
            account = (login.name if self._users.has(login.name) else "", has_device)
            if self._waiting[account] >= _MOST_WAITING or not self._failures.allows(key):
                raise too_many()
            if not await self._is_right(login, account):
                log.warning("login refused", peer=peer)
                raise unauthorized()
            self._failures.give_back(key)
        if not has_device:
            request[_NEW_DEVICE] = self._users.new_device(login.name)
        return login.name

    async def _is_right(self, login: Login, account: _Account) -> bool:
        self._waiting[account] += 1
        try:
            async with self._turns[account], self._hashing:
                return await asyncio.to_thread(self._users.verify, login)
        finally:
            self._waiting[account] -= 1


def mark_device(request: web.Request, response: web.StreamResponse) -> None:
    """Give the browser of one who has just logged in its cookie.

    It lets nobody in.  It is not `Secure`, since the page cannot know whether it is reached by TLS.
    """
    device = request.get(_NEW_DEVICE)
    if device is not None:
        response.set_cookie(_DEVICE, device, max_age=_DEVICE_SECONDS, httponly=True, samesite="Lax")


def network_of(peer: str) -> str:
    """What counts as one address: of IPv6, all of a customer's."""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return peer
    if address.version == 4:
        return peer
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, _IPV6_NETWORK), strict=False))


def unauthorized(
    challenge: str = 'Basic realm="mailingest", charset="UTF-8"',
) -> web.HTTPUnauthorized:
    """Ask for a login."""
    return web.HTTPUnauthorized(headers={"WWW-Authenticate": challenge})


def too_many() -> web.HTTPTooManyRequests:
    """Put somebody off."""
    return web.HTTPTooManyRequests(headers={"Retry-After": "60"})


def _login_of(request: web.Request) -> Login | None:
    headers = request.headers.getall("Authorization", [])
    return read_login(headers[0]) if len(headers) == 1 else None
