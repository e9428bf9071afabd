"""`mailingest units`: the pieces for systemd are those of this installation and configuration."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from mailingest.commands.units import own_program, write
from mailingest.config import Settings

SHIPPED = Path(__file__).parents[2] / "systemd"


def written(directory: Path, **sections: Any) -> dict[str, str]:
    write(Settings.model_validate(sections), directory)
    return {
        str(path.relative_to(directory)): path.read_text()
        for path in directory.rglob("*")
        if path.is_file()
    }


def test_every_piece_is_written_and_starts_this_installation(tmp_path: Path) -> None:
    pieces = written(tmp_path)
    assert {Path(place).name for place in pieces} == {
        path.name for path in SHIPPED.rglob("*") if path.is_file()
    }
    assert {"sysusers.d/mailingest.conf", "systemd/system/mailingest.socket"} <= pieces.keys()
    starts = [
        row for text in pieces.values() for row in text.splitlines() if row.startswith("ExecStart=")
    ]
    services = [place for place in pieces if place.endswith(".service")]
    assert len(starts) == len(services) > 0
    assert all(str(own_program()) in row for row in starts)
    units = [str(path) for path in (tmp_path / "systemd" / "system").iterdir()]
    if own_program().exists():
        done = subprocess.run(
            ["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")


def test_the_sockets_are_at_the_addresses_of_the_configuration(tmp_path: Path) -> None:
    pieces = written(
        tmp_path,
        inputs={
            "udp": [{"host": "::", "port": 514}, {"port": 0}],
            "tcp": [{"host": "localhost", "port": 601}],
            "relp": [{"host": "192.0.2.1", "port": 2514}],
        },
        web={"port": 8026},
    )
    rows = pieces["systemd/system/mailingest.socket"].splitlines()
    listens = [row for row in rows if row.startswith("Listen")]
    assert listens[0] == "ListenDatagram=[::]:514"
    assert listens[1] in ("ListenStream=127.0.0.1:601", "ListenStream=[::1]:601")
    assert listens[2:] == ["ListenStream=192.0.2.1:2514"]
    assert "ListenStream=127.0.0.1:8026\n" in pieces["systemd/system/mailingest-web.socket"]


def test_without_a_network_input_there_is_no_socket(tmp_path: Path) -> None:
    pieces = written(tmp_path, inputs={"udp": [], "tcp": []})
    assert "systemd/system/mailingest.socket" not in pieces
    assert "mailingest.socket" not in pieces["systemd/system/mailingest.service"]


@pytest.mark.parametrize("program", ["/root/.local/bin/mailingest", "/opt/x/bin/mailingest"])
def test_a_program_that_the_units_could_not_see_is_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    program: str,
) -> None:
    monkeypatch.setattr("mailingest.commands.units.own_program", lambda: Path(program))
    monkeypatch.setenv("HOME", "/home/ann")
    written(tmp_path)
    last = capsys.readouterr().out.splitlines()[-1]
    assert ("PIPX_HOME" in last) == program.startswith("/root")
