"""`mailingest check`: what a start needs is tried, and printed line by line."""

import os
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from mailingest.commands import check as module
from mailingest.commands.check import check
from mailingest.commands.redos_probe import Probe, Slow, find_slow
from mailingest.config import Settings
from mailingest.spool.queue import Spool
from mailingest.web.server import access_of
from tests.support.ports import free_port, this_process
from tests.support.servers import SearchServer

Found = tuple[list[Slow], int]


@pytest.fixture(scope="module")
def found() -> dict[tuple[str, ...], Found]:
    return {}


@pytest.fixture(autouse=True)
def probed_once(found: dict[tuple[str, ...], Found], monkeypatch: pytest.MonkeyPatch) -> None:
    """Most tests have the shipped patterns, and to probe them all takes seconds."""

    def find(probes: Sequence[Probe]) -> Found:
        patterns = tuple(one.pattern.pattern for one in probes)
        if patterns not in found:
            found[patterns] = find_slow(probes)
        return found[patterns]

    monkeypatch.setattr(module, "find_slow", find)


@pytest.fixture
def udp() -> Iterator[socket.socket]:
    """A socket on an address of its own."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound


@pytest.fixture
def tcp() -> Iterator[socket.socket]:
    """A socket that listens, and takes no connection."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        yield bound


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A regular file: nothing can be made below it, not even by root."""
    path = tmp_path / "file"
    path.write_bytes(b"")
    return path


@pytest.fixture
def sections(tmp_path: Path) -> dict[str, Any]:
    """Settings with which nothing is wrong."""
    return {
        "inputs": {"udp": [{"port": 0}], "tcp": [{"port": 0}]},
        "web": {"port": 0},
        "state": {"directory": tmp_path / "state"},
    }


def printed(
    capsys: pytest.CaptureFixture[str], sections: dict[str, Any]
) -> tuple[bool, list[str], list[str]]:
    """The verdict, and what is right and what is wrong."""
    verdict = check(Settings.model_validate(sections), lambda: None)
    out, err = capsys.readouterr()
    assert err == ""
    # What is to be pasted follows in lines of its own.
    lines = [line for line in out.splitlines() if line.startswith(("ok", "WRONG", "warn"))]
    assert not [line for line in lines if line.startswith("warn   ")]
    right = [line.removeprefix("ok     ") for line in lines if line.startswith("ok     ")]
    wrong = [line.removeprefix("WRONG  ") for line in lines if line.startswith("WRONG  ")]
    assert len(right) + len(wrong) == len(lines)
    right.remove("web: 127.0.0.1:0 is free")
    return verdict, right, wrong


def test_a_check_prints_what_is_right(
    capsys: pytest.CaptureFixture[str], sections: dict[str, Any], tmp_path: Path
) -> None:
    verdict, right, wrong = printed(capsys, sections)
    assert (verdict, wrong) == (False, [])
    assert right[0] == "configuration"
    assert right[1].endswith(" compile")
    assert right[2:] == [
        f"state: {tmp_path}/state is writable",
        "udp: 127.0.0.1:0 is free",
        "tcp: 127.0.0.1:0 is free",
        f"store: {tmp_path}/state/mail is writable",
    ]


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_an_address_that_the_running_daemon_has_itself_is_right(
    capsys: pytest.CaptureFixture[str],
    sections: dict[str, Any],
    tmp_path: Path,
    request: pytest.FixtureRequest,
    protocol: str,
    host: str,
) -> None:
    port = request.getfixturevalue(protocol).getsockname()[1]
    (tmp_path / "state" / "spool").mkdir(parents=True)
    spool = Spool(tmp_path / "state" / "spool", max_bytes=2**24)
    spool.open(None)
    spool.look({}, addresses=[f"{protocol} 127.0.0.1:{port}"])
    sections["inputs"][protocol] = [{"host": host, "port": port}]
    try:
        verdict, right, wrong = printed(capsys, sections)
        assert (verdict, wrong) == (False, [])
        assert f"{protocol}: {host}:{port} is in use by the running mailingest itself" in right
        # Somebody else beside it, where all addresses are wanted.
        kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
        with socket.socket(socket.AF_INET, kind) as other:
            other.bind(("127.0.0.2", port))
            if protocol == "tcp":
                other.listen()
            verdict, _, wrong = printed(capsys, sections)
        assert verdict == (host == "0.0.0.0")
        assert len(wrong) == verdict
    finally:
        spool.close()


@pytest.mark.parametrize("place", ["tcp", "web", "metrics"])
def test_an_address_that_is_configured_twice_is_wrong(
    capsys: pytest.CaptureFixture[str], sections: dict[str, Any], place: str
) -> None:
    port = free_port()
    sections["inputs"]["tcp"] = [{"port": port}]
    if place == "tcp":
        sections["inputs"]["tcp"].append({"port": port})
    else:
        sections[place] = {"port": port}
    assert check(Settings.model_validate(sections), lambda: None)
    [wrong] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("WRONG")]
    assert wrong == (
        f"WRONG  {place}: tcp 127.0.0.1:{port} is configured twice: choose another port"
    )


def test_what_the_page_would_refuse_to_start_with_is_wrong(
    capsys: pytest.CaptureFixture[str], sections: dict[str, Any], tmp_path: Path
) -> None:
    sections["web"]["users_file"] = tmp_path / "users"
    settings = Settings.model_validate(sections)
    assert check(settings, lambda: access_of(settings))
    assert f"WRONG  web: web.users_file: cannot read {tmp_path}/users" in capsys.readouterr().out


def test_what_root_has_left_in_the_state_of_the_service_is_wrong(
    capsys: pytest.CaptureFixture[str], sections: dict[str, Any], tmp_path: Path
) -> None:
    directory = tmp_path / "state"
    (directory / "mail").mkdir(parents=True)
    for path in (directory, directory / "mail"):
        os.chown(path, 64_001, 64_001)
    day = directory / "mail" / "mail-2026.11.24.sqlite"
    day.touch()
    verdict, _, wrong = printed(capsys, sections)
    assert verdict
    assert wrong == [
        f"state: {day} belongs to root, and {directory} to 64001, who cannot go on with it: "
        f"chown -R --no-dereference --reference={directory} {directory}"
    ]


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
def test_an_address_in_use_is_wrong(
    capsys: pytest.CaptureFixture[str],
    sections: dict[str, Any],
    request: pytest.FixtureRequest,
    protocol: str,
) -> None:
    port = request.getfixturevalue(protocol).getsockname()[1]
    sections["inputs"][protocol] = [{"port": 0}, {"port": port}]
    verdict, right, wrong = printed(capsys, sections)
    assert verdict
    assert len(right) == 6
    assert wrong == [
        f"{protocol}: {protocol} 127.0.0.1:{port}: address already in use by {this_process()}; "
        "stop what listens there or choose another port"
    ]


def test_a_state_directory_that_cannot_be_made_is_wrong(
    capsys: pytest.CaptureFixture[str], sections: dict[str, Any], file: Path, tmp_path: Path
) -> None:
    sections["state"]["directory"] = file / "state"
    sections["sqlite"] = {"directory": tmp_path / "mail"}
    verdict, right, wrong = printed(capsys, sections)
    assert verdict
    assert wrong == [f"state: state.directory: cannot make {file}/state: Not a directory"]
    assert right[-1] == f"store: {tmp_path}/mail is writable"


@pytest.mark.parametrize(
    "output",
    [
        pytest.param(("sqlite", "directory"), id="SQLite"),
        pytest.param(("ndjson", "path"), id="NDJSON"),
    ],
)
def test_a_store_that_cannot_be_written_is_wrong(
    capsys: pytest.CaptureFixture[str],
    sections: dict[str, Any],
    file: Path,
    output: tuple[str, str],
) -> None:
    section, key = output
    sections[section] = {key: str(file / "mail")}
    verdict, _, wrong = printed(capsys, sections)
    assert verdict
    (line,) = wrong
    assert line.startswith("store: ")
    assert str(file / "mail") in line


def test_an_ndjson_file_is_named(
    capsys: pytest.CaptureFixture[str], sections: dict[str, Any], tmp_path: Path
) -> None:
    sections["ndjson"] = {"path": f"{tmp_path}/mail.ndjson"}
    verdict, right, _ = printed(capsys, sections)
    assert not verdict
    assert right[-1] == f"store: {tmp_path}/mail.ndjson is writable"


@pytest.mark.parametrize(
    ("file_name", "content", "reason"),
    [
        pytest.param("own", "POSTFIX_QMGR (\n", "/own:1: ", id="no regular expression"),
        pytest.param("own", "POSTFIX_QMGR %{NOWHERE}\n", "/own:1: ", id="no such pattern"),
        pytest.param(
            "own", "X a\nY (\n", "/own:2: pattern Y: missing )", id="one that is not used"
        ),
        pytest.param(
            "own", "X \\p{L}\n", r"/own:1: pattern X: \p{L} is not", id="not translatable"
        ),
        pytest.param(
            "own", "POSTFIX_QMGR (?<x>a)\n", "there is no field x: declare", id="no such field"
        ),
        pytest.param(None, None, ": No such file or directory", id="no such directory"),
    ],
)
def test_patterns_that_do_not_work_are_wrong(
    capsys: pytest.CaptureFixture[str],
    sections: dict[str, Any],
    tmp_path: Path,
    file_name: str | None,
    content: str | None,
    reason: str,
) -> None:
    directory = tmp_path / "patterns"
    if file_name and content:
        directory.mkdir()
        (directory / file_name).write_text(content)
    sections["grok"] = {"patterns_dirs": [directory]}
    verdict, right, wrong = printed(capsys, sections)
    assert verdict
    (line,) = wrong
    assert line.startswith("patterns: ")
    assert f"{directory}" in line
    assert reason in line
    assert len(right) == 5


def test_slow_patterns_are_warned_of_by_place_and_text(
    capsys: pytest.CaptureFixture[str], sections: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "mine").write_text("# mine\nMINE x=(a+)+$\nFAST x=a++$\n")
    sections["grok"] = {"patterns_dirs": [tmp_path / "own"]}
    wrong = check(Settings.model_validate(sections), lambda: None)
    (warning,) = [
        line for line in capsys.readouterr().out.splitlines() if not line.startswith("ok  ")
    ]
    assert not wrong
    assert warning.startswith(
        f"warn   patterns: {tmp_path}/own/mine:2: pattern MINE may take forever (ReDoS): "
        "'x=a' + 'a' * n"
    )


def test_a_server_that_is_not_there_is_wrong(
    capsys: pytest.CaptureFixture[str], sections: dict[str, Any]
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as bound:
        # Bound, but nothing listens: a connection is refused.
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        sections["elasticsearch"] = {"hosts": [url]}
        verdict, _, wrong = printed(capsys, sections)
    assert verdict
    (line,) = wrong
    assert line.startswith("store: the server cannot be reached: ")


def test_a_server_that_answers_is_right(
    capsys: pytest.CaptureFixture[str], sections: dict[str, Any], search_server: SearchServer
) -> None:
    sections["elasticsearch"] = {"hosts": [search_server.url]}
    verdict, right, wrong = printed(capsys, sections)
    assert (verdict, wrong) == (False, [])
    assert right[-1] == f"store: {search_server.url} answers"


def test_all_that_is_wrong_is_printed_at_once(
    capsys: pytest.CaptureFixture[str],
    sections: dict[str, Any],
    udp: socket.socket,
    tcp: socket.socket,
    file: Path,
) -> None:
    sections["inputs"]["udp"] = [{"port": udp.getsockname()[1]}]
    sections["inputs"]["tcp"] = [{"port": tcp.getsockname()[1]}]
    sections["state"]["directory"] = file / "state"
    sections["grok"] = {"patterns_dirs": [file]}
    verdict, right, wrong = printed(capsys, sections)
    assert verdict
    assert right == ["configuration"]
    assert [line.split(": ")[0] for line in wrong] == ["patterns", "state", "udp", "tcp", "store"]


def test_what_a_running_daemon_noticed_about_its_senders_is_a_warning(
    capsys: pytest.CaptureFixture[str], sections: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "state" / "spool").mkdir(parents=True)
    spool = Spool(tmp_path / "state" / "spool", max_bytes=2**24)
    spool.open(None)
    noticed = {"lines_filed_by_arrival": 7, "lines_peer_unknown": 8}
    spool.look({"hosts_tags_cut": 2, "hosts_clock_off": 1, **noticed})
    try:
        assert not check(Settings.model_validate(sections), lambda: None)
    finally:
        spool.close()
    out = capsys.readouterr().out
    assert "ok     senders: the running daemon was asked\n" in out
    assert "warn   senders: tags of 2 hosts arrive cut at the slash: set global(parser." in out
    assert "warn   senders: lines of 1 hosts are dated far from their arrival" in out
    assert "warn   senders: 7 lines were dated too far from their arrival to be believed" in out
    assert "warn   senders: 8 lines about queue IDs came from peers new to their hosts" in out
