"""The compiled wheel: what is in it, and that it gives the same bytes as its source."""

import json
import os
import random
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path
from typing import Final

import pytest
from packaging.tags import sys_tags

from benchmarks.fuzz.lines import known_lines
from benchmarks.generate import generate
from mailingest import __version__
from tests.docs.blocks import blocks_of
from tests.support.compiled import ROOT, fetch_compiled
from tests.support.lab.polling import PATIENCE

FED: Final = ROOT / "tests" / "support" / "fed.py"

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def compiled() -> Path:
    return fetch_compiled()


def run(place: Path, *arguments: str, frames: str = "") -> str:
    return subprocess.run(
        [sys.executable, *arguments],
        input=frames,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd="/",
        # Sets have one order in both.
        env=os.environ | {"PYTHONPATH": str(place), "PYTHONHASHSEED": "15"},
        timeout=PATIENCE,
    ).stdout


def test_each_build_says_which_one_it_is(compiled: Path) -> None:
    version = ("-m", "mailingest", "--version")
    assert run(compiled, *version) == f"mailingest {__version__} (compiled)\n"
    assert run(ROOT, *version) == f"mailingest {__version__} (pure Python)\n"


def test_it_is_installed_as_the_documentation_says(compiled: Path, tmp_path: Path) -> None:
    [block] = [
        each
        for each in blocks_of(ROOT / "docs" / "install.md")
        if "make wheel-compiled" in each.text
    ]
    make, *commands = block.commands
    assert make.text == "make wheel-compiled"
    environment = tmp_path / "mailingest"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True, timeout=PATIENCE)
    (tmp_path / "dist").symlink_to(compiled)
    shown = [
        subprocess.run(
            ["bash", "-c", command.text.replace("/opt", str(tmp_path))],
            cwd=tmp_path,
            # The dependencies are those that the tests run with.
            env=os.environ | {"PIP_NO_INDEX": "1", "PYTHONPATH": sysconfig.get_path("purelib")},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=PATIENCE,
        ).stdout
        for command in commands
    ]
    assert shown[-1] == f"mailingest {__version__} (compiled)\n"


def test_it_is_for_this_python_and_this_machine(compiled: Path) -> None:
    [wheel] = compiled.glob("*.whl")
    _, _, tag = wheel.stem.split("-", 2)
    assert tag.startswith(f"cp{sys.version_info.major}{sys.version_info.minor}-")
    assert "linux" in tag
    assert tag in map(str, sys_tags())


def test_the_modules_that_are_named_are_compiled_beside_their_source(compiled: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    named = project["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["custom"]["modules"]
    libraries = {path.relative_to(compiled).as_posix() for path in compiled.rglob("*.so")}
    found = {name.partition(".")[0] + ".py" for name in libraries}
    assert found == {*named, "mailingest/compiled__mypyc.py"}
    assert all((compiled / name).read_bytes() == (ROOT / name).read_bytes() for name in named)
    assert {path.name.split("-")[0] for path in compiled.iterdir()} == {"mailingest"}


def broken(lines: list[bytes]) -> list[bytes]:
    """Lines as no program writes them: cut, run together, with bytes that are others."""
    choose = random.Random(15)
    made = []
    for line in choose.choices(lines, k=4_000):
        other = choose.choice(lines)
        at = choose.randrange(len(line) + 1)
        made.append(
            choose.choice(
                [
                    line[:at],
                    line[at:],
                    line[:at] + other[at:],
                    line[:at] + choose.randbytes(2) + line[at + 2 :],
                    line[:at] + line[at : at + 9] * 500 + line[at:],
                ]
            )
        )
    return made


def test_both_builds_give_the_same_bytes(compiled: Path) -> None:
    lines = [line for group in known_lines() for line in group]
    lines += generate(4_000, seed=15)
    lines += broken(lines)
    frames = "".join(f"{json.dumps(line.decode('latin-1'))}\n" for line in lines)
    kind, *pure = run(ROOT, str(FED), frames=frames).splitlines()
    kind_of_other, *other = run(compiled, str(FED), frames=frames).splitlines()
    assert (kind, kind_of_other) == ("pure Python", "compiled")
    assert len(pure) > 2 * 8_000
    different = [pair for pair in zip(pure, other, strict=True) if pair[0] != pair[1]]
    assert different == []
