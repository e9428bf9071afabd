"""Locked versions against a dump of advisories, as osv.dev publishes it."""

import json
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from audit.__main__ import main
from audit.advisories import findings, locked_versions

ROOT = Path(__file__).parents[2]
NOW = datetime.now(UTC)


def advisory(name: str = "aiohttp", *, at: datetime = NOW, **affected: Any) -> dict[str, Any]:
    package = {"ecosystem": affected.pop("ecosystem", "PyPI"), "name": name}
    return {
        "id": "GHSA-1",
        "aliases": ["CVE-2026-1"],
        "summary": "Request smuggling",
        "modified": at.isoformat().replace("+00:00", "Z"),
        "affected": [{"package": package, **affected}],
    }


def within(*events: tuple[str, str], kind: str = "ECOSYSTEM") -> dict[str, Any]:
    return {"ranges": [{"type": kind, "events": [{event: at} for event, at in events]}]}


@pytest.mark.parametrize(
    ("given", "is_found"),
    [
        pytest.param(advisory(versions=["3.9.0", "3.10.1"]), True, id="listed"),
        pytest.param(advisory(versions=["3.10.1.0"]), True, id="listed in another way"),
        pytest.param(advisory(versions=["3.10.11"]), False, id="not listed"),
        pytest.param(advisory(**within(("introduced", "0"))), True, id="always"),
        pytest.param(
            advisory(**within(("introduced", "0"), ("fixed", "3.10.2"))), True, id="not yet fixed"
        ),
        pytest.param(
            advisory(**within(("introduced", "0"), ("fixed", "3.10.1"))), False, id="fixed"
        ),
        pytest.param(
            advisory(**within(("fixed", "3.9"), ("introduced", "3.10"))), True, id="in disorder"
        ),
        pytest.param(
            advisory(**within(("introduced", "3.11"), ("fixed", "3.12"))), False, id="later ones"
        ),
        pytest.param(
            advisory(
                **within(
                    ("introduced", "0"),
                    ("fixed", "3.9"),
                    ("introduced", "3.10"),
                    ("last_affected", "3.10.1"),
                )
            ),
            True,
            id="the last one of the second range",
        ),
        pytest.param(
            advisory(**within(("introduced", "0"), ("last_affected", "3.10.0"))), False, id="after"
        ),
        pytest.param(advisory(**within(("introduced", "0"), kind="GIT")), False, id="commits"),
        pytest.param(advisory("AioHTTP", versions=["3.10.1"]), True, id="a name in other case"),
        pytest.param(advisory("aio-http", versions=["3.10.1"]), False, id="another name"),
        pytest.param(advisory(ecosystem="npm", versions=["3.10.1"]), False, id="of npm"),
        pytest.param(
            advisory(versions=["3.10.1"]) | {"withdrawn": "2026-01-01T00:00:00Z"},
            False,
            id="withdrawn",
        ),
        pytest.param(advisory(versions=["odd!"]), False, id="a version that is none"),
    ],
)
def test_a_version_is_concerned_or_not(given: dict[str, Any], is_found: bool) -> None:
    found = findings({"aiohttp": "3.10.1"}, [given])
    assert [(one.name, one.advisory, one.aliases) for one in found] == (
        [("aiohttp", "GHSA-1", ("CVE-2026-1",))] if is_found else []
    )


def test_what_is_locked_is_read(tmp_path: Path) -> None:
    path = tmp_path / "run.txt"
    path.write_text(
        "# made\nPyYAML==6.0.4 \\\n    --hash=sha256:0\n    # via x\n"
        'coverage[toml]==7.6 ; python_version < "4"\nzope.interface==8.0\n'
    )
    assert locked_versions(path) == {"pyyaml": "6.0.4", "coverage": "7.6", "zope-interface": "8.0"}


@pytest.mark.parametrize("name", ["run", "dev", "audit"])
def test_each_line_of_the_real_files_is_read(name: str) -> None:
    path = ROOT / "requirements" / f"{name}.txt"
    lines = [line for line in path.read_text().splitlines() if line and line[0] not in " #"]
    assert len(locked_versions(path)) == len(lines) > 20


def run(path: Path, advisories: list[dict[str, Any]], *options: str) -> int:
    with zipfile.ZipFile(path / "all.zip", "w") as dump:
        for number, one in enumerate(advisories):
            dump.writestr(f"{number}.json", json.dumps(one))
    (path / "run.txt").write_text("aiohttp==3.10.1 \\\n    --hash=sha256:0\n")
    return main(["--advisories", str(path / "all.zip"), str(path / "run.txt"), *options])


def test_what_is_known_is_told_with_the_date_of_the_list(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events = within(("introduced", "0"), ("fixed", "3.10.2"))
    assert run(tmp_path, [advisory(**events), advisory("other", versions=["1"])]) == 1
    out = capsys.readouterr().out
    assert "aiohttp 3.10.1: GHSA-1 CVE-2026-1: Request smuggling (fixed: 3.10.2)" in out
    assert f"1 packages, 1 known vulnerabilities; 2 advisories up to {NOW:%Y-%m-%d}" in out


def test_nothing_known_is_told_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, [advisory("other", versions=["1"])]) == 0
    assert "1 packages, 0 known vulnerabilities" in capsys.readouterr().out


def test_an_old_list_says_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = advisory(at=NOW - timedelta(days=40), versions=["1"])
    assert run(tmp_path, [old]) == 2
    assert "more than 30 days ago: fetch it anew" in capsys.readouterr().err
    assert run(tmp_path, [old], "--max-age", "50") == 0


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "No such file"),
        (b"<html>", "is no dump of osv.dev"),
        (b"", "is no dump of osv.dev"),
    ],
)
def test_a_list_that_cannot_be_read_is_no_good_news(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, says: str
) -> None:
    path = tmp_path / "all.zip"
    if content is not None:
        path.write_bytes(content)
    assert main(["--advisories", str(path), str(ROOT / "requirements" / "run.txt")]) == 2
    assert says in capsys.readouterr().err


def test_a_list_without_advisories_is_no_good_news(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, []) == 2
    assert "has no advisory" in capsys.readouterr().err
