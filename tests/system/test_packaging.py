"""The wheel: all that the program needs, without the source tree; what a release has to be."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from mailingest import __version__
from tests.docs.blocks import blocks_of
from tests.support.debian_host import fetch_wheels
from tests.support.lab.polling import PATIENCE

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.system


def built(directory: Path) -> Path:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(directory)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=PATIENCE)
    [wheel] = directory.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("dist"))


def test_the_same_files_give_the_same_bytes(wheel: Path, tmp_path: Path) -> None:
    again = built(tmp_path)
    assert again.name == wheel.name
    assert again.read_bytes() == wheel.read_bytes()


def test_patterns_and_default_configuration_travel_inside(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    shipped = [*ROOT.glob("patterns/*.grok"), *ROOT.glob("config/*"), *ROOT.glob("systemd/**/*")]
    shipped = [path for path in shipped if path.is_file()]
    assert {path.suffix for path in shipped} >= {".grok", ".toml", ".service", ".conf"}
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


def test_pipx_installs_and_removes_it_as_the_documentation_says(
    wheel: Path, tmp_path: Path
) -> None:
    [block] = [each for each in blocks_of(ROOT / "docs" / "install.md") if "pipx" in each.text]
    shutil.copy(wheel, tmp_path)
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "PATH": f"{tmp_path}/.local/bin:/usr/bin:/bin",
        # No network: what is locked has been gathered.
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(fetch_wheels()),
    }
    shown = [
        subprocess.run(
            ["bash", "-c", command.text],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=PATIENCE,
        ).stdout
        for command in block.commands
    ]
    assert shown[1] == f"mailingest {__version__} (pure Python)\n"
    assert not (tmp_path / ".local" / "bin" / "mailingest").exists()


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        pytest.param("true", "", id="nothing"),
        pytest.param("echo > new", "the tree is not clean: commit, or take away: new", id="a file"),
        pytest.param(
            "sed -i 's/^## .9[.]9[.]9. .*/## later/' CHANGELOG.md; git commit -qam later",
            "CHANGELOG.md: has no '## [9.9.9] - YYYY-MM-DD'",
            id="no section",
        ),
        pytest.param(
            "sed -i 's/2026-11-24/2026-11-31/' CHANGELOG.md; git commit -qam later",
            "CHANGELOG.md: the date of 9.9.9 is '2026-11-31', not YYYY-MM-DD",
            id="no date",
        ),
        pytest.param(
            "sed -i 's/^## .Unreleased./&\\n- Forgotten/' CHANGELOG.md; git commit -qam later",
            "CHANGELOG.md: there are entries below [Unreleased]: move them below [9.9.9]",
            id="unreleased",
        ),
        pytest.param(
            "git tag v9.9.9; git commit -q --allow-empty -m later",
            "the tag v9.9.9 is another commit already: raise __version__, or check that tag out",
            id="tag",
        ),
        pytest.param("git tag v9.9.9", "", id="its own tag"),
        pytest.param(
            "sed -i 's/9.9.9/9.9/' mailingest/__init__.py; git commit -qam later",
            "mailingest/__init__.py: __version__ is '9.9', not X.Y.Z",
            id="no version",
        ),
    ],
)
def test_a_release_says_what_is_in_its_way(tmp_path: Path, spoil: str, problem: str) -> None:
    for name in ("mailingest/__init__.py", ".ci/packages/release-check"):
        (tmp_path / name).parent.mkdir(parents=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "mailingest" / "__init__.py").write_text('__version__ = "9.9.9"\n')
    (tmp_path / "CHANGELOG.md").write_text("## [Unreleased]\n\n## [9.9.9] - 2026-11-24\n\n- All.\n")
    identity = "git config user.name x; git config user.email x@example.net"
    script = f"git init -q .; {identity}; git add .; git commit -qm first; {spoil}"
    subprocess.run(["bash", "-ec", script], cwd=tmp_path, check=True, timeout=PATIENCE)
    done = subprocess.run(
        [tmp_path / ".ci" / "packages" / "release-check"],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    if problem:
        assert (done.returncode, done.stdout) == (2, "")
        assert f"release: {problem}\n" in done.stderr
    else:
        assert (done.returncode, done.stdout, done.stderr) == (0, "9.9.9\n", "")
