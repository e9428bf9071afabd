"""The test servers themselves: what they say when they cannot start."""

import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.servers import ELASTICSEARCH, KINDS, Kind, SearchServer, fetch, java_program
from tests.support.servers.launching import archive_of, launcher
from tests.support.servers.process import ServerProblem
from tests.support.servers.starting import Servers


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_missing_program_is_named_with_the_command_that_installs_it(
    kind: Kind, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(
        ServerProblem, match=r"mvn is not installed; as root: apt-get install .*jdk"
    ):
        fetch(kind)
    with (
        pytest.raises(
            ServerProblem, match=r"java is not installed; as root: apt-get install .*jdk"
        ),
        SearchServer(kind),
    ):
        pass


def test_a_java_that_is_too_old_is_named_with_the_version_that_is_needed() -> None:
    future = replace(ELASTICSEARCH, java=999)

    with pytest.raises(ServerProblem, match=r"^elasticsearch-7\.10\.2 needs Java 999 or later: "):
        java_program(future)


def test_the_command_line_knows_only_fetch() -> None:
    wrong = subprocess.run(
        [sys.executable, "-m", "tests.support.servers", "start"], capture_output=True, text=True
    )

    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr == "usage: python -m tests.support.servers fetch\n"


@pytest.mark.servers
def test_a_server_that_does_not_start_is_tried_once_and_told_to_each_test() -> None:
    made: list[SearchServer] = []

    def make(kind: Kind) -> SearchServer:
        made.append(SearchServer(kind, settings={"no.such": "setting"}))
        return made[-1]

    with ExitStack() as stack:
        servers = Servers(stack, make)
        servers.want(ELASTICSEARCH)
        for _ in range(2):
            with pytest.raises(ServerProblem, match=r"ended with code 1"):
                servers.get(ELASTICSEARCH)
    [server] = made
    assert not server.home.exists()


@pytest.mark.servers
def test_a_failed_start_shows_the_servers_log() -> None:
    server = SearchServer(ELASTICSEARCH, settings={"no.such": "setting"})
    with (
        pytest.raises(
            ServerProblem, match=r"(?s)ended with code 1; .*unknown setting \[no\.such\]"
        ),
        server,
    ):
        pass
    assert not server.home.exists()


def test_a_server_has_its_classes_from_the_archive_that_was_made_for_them(
    search_server: SearchServer,
) -> None:
    """Java takes no notice of one that is for other jars, and starts twice as long."""
    kind = search_server.kind
    archive = archive_of(
        launcher(java_program(kind), java_program(kind, "javac"), fetch(kind).parent)
    )
    mapped = Path(f"/proc/{search_server.pid}/maps").read_text()
    assert (str(archive) in mapped) is archive.exists()
