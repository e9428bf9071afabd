"""The pieces for systemd, made for this installation and its configuration."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mailingest.config import Settings, data_directory
from mailingest.errors import UsageError
from mailingest.inputs.addresses import address_text
from mailingest.inputs.sockets import first_address

_SHIPPED_PROGRAM: Final = "/usr/local/bin/mailingest"
_UNITS: Final = (".service", ".socket", ".timer")
_SOCKET: Final = "mailingest.socket"
# What the units hide (ProtectHome=).
_HOMES: Final = ("/home", "/root", "/run/user")

NEXT: Final = (
    "systemd-sysusers && systemd-tmpfiles --create && systemctl daemon-reload && "
    "systemctl enable --now mailingest mailingest-web mailingest-retention.timer"
)
"""What makes them take effect."""


def show(settings: Settings) -> None:
    """Print all of them, each under its place below /etc."""
    for place, text in _pieces(settings):
        print(f"# /etc/{place}\n{text}")


def write(settings: Settings, directory: Path) -> None:
    """Write them below a directory such as /etc; raises UsageError."""
    for place, text in _pieces(settings):
        path = directory / place
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        except OSError as error:
            raise UsageError(f"{path}: cannot write it: {error.strerror}") from None
        print(f"wrote {path}")
    if (program := own_program()).is_relative_to(Path.home()) or str(program).startswith(_HOMES):
        print(
            f"{program} is in a home directory, which the units hide: install it elsewhere "
            "(PIPX_HOME=/opt/pipx PIPX_BIN_DIR=/usr/local/bin pipx install ...), and do this again"
        )
        return
    print(f"next: {NEXT}")


def own_program() -> Path:
    """The command of this installation."""
    beside = Path(sys.executable).parent / "mailingest"
    return beside if beside.exists() else Path(sys.argv[0]).absolute()


def _pieces(settings: Settings) -> Iterator[tuple[str, str]]:
    """The place below /etc and the text of each."""
    shipped = data_directory("systemd")
    listens = list(_listens(settings))
    web = f"ListenStream={_address(settings.web.host, settings.web.port)}"
    for path in sorted(shipped.rglob("*.*")):
        if path.is_dir():
            continue
        text = path.read_text("utf-8").replace(_SHIPPED_PROGRAM, str(own_program()))
        if path.suffix not in _UNITS:
            yield str(path.relative_to(shipped)), text
            continue
        if path.suffix == ".socket":
            own = listens if path.name == _SOCKET else [web] if settings.web.port else []
            if not own:
                continue
            text = _with_listens(text, own)
        elif not listens:
            text = text.replace(f" {_SOCKET}", "").replace(f"Also={_SOCKET}\n", "")
        yield f"systemd/system/{path.name}", text


def _listens(settings: Settings) -> Iterator[str]:
    for udp in settings.inputs.udp:
        if udp.port:
            yield f"ListenDatagram={_address(udp.host, udp.port)}"
    for _, stream in settings.inputs.streams:
        if stream.port:
            yield f"ListenStream={_address(stream.host, stream.port)}"


def _address(host: str, port: int) -> str:
    """As systemd wants it: it knows no names."""
    return address_text(first_address(host, port), port)


def _with_listens(text: str, listens: list[str]) -> str:
    rows = text.splitlines()
    first = next(number for number, row in enumerate(rows) if row.startswith("Listen"))
    rest = [row for row in rows if not row.startswith("Listen")]
    return "\n".join([*rest[:first], *listens, *rest[first:], ""])
