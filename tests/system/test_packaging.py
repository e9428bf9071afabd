"""The built wheel: it holds all that the program needs, and runs without the source tree."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.lab.polling import PATIENCE

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(directory)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=PATIENCE)
    [built] = directory.glob("*.whl")
    return built


def test_patterns_and_default_configuration_travel_inside(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    shipped = [*ROOT.glob("patterns/*.grok"), *ROOT.glob("config/*"), *ROOT.glob("systemd/*")]
    assert len(shipped) >= 3
    assert {f"mailingest/data/{path.relative_to(ROOT)}" for path in shipped} <= names
    assert "mailingest/py.typed" in names


def test_nothing_but_the_package_is_inside(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top.split("-")[0] for top in tops} == {"mailingest"}


def test_the_installed_program_runs_without_the_source_tree(wheel: Path, tmp_path: Path) -> None:
    # The dependencies are those of this environment; only the package itself is the wheel's.
    environment = tmp_path / "installed"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run(
        [*install, "--target", str(environment), str(wheel)], check=True, timeout=PATIENCE
    )
    code = "import mailingest; print(mailingest.__file__, flush=True); import mailingest.__main__"
    done = subprocess.run(
        [sys.executable, "-c", code, "parse", "-"],
        input="Nov 24 15:41:22 mx1 postfix/qmgr[550]: 652D1A4A862: removed\n",
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(environment)},
        timeout=PATIENCE,
    )
    place, event = done.stdout.splitlines()
    assert Path(place).is_relative_to(environment)
    assert '"postfix_message":"removed"' in event
