"""A long search says so: a bar on a terminal, one line elsewhere; a short one says nothing."""

import io
import sys
from pathlib import Path

import pytest

from mailingest.commands.progress import SearchProgress
from mailingest.inputs.files import LogFile
from mailingest.stores.criteria import Criteria, text_term
from mailingest.stores.logfiles.reader import LogFilesReader
from mailingest.stores.sqlite.reader import SqliteReader
from mailingest.wiring import line_reading
from tests.support.logs import SETTINGS, documents_of, lines_of
from tests.support.stores import sqlite_reader

LOG = "".join(
    f"{day}T{hour:02d}:00:00 mx1 postfix/qmgr: AAAAA{hour:02X}: from=<a@example.com>, size=1, nrcpt=1 (queue active)\n"  # noqa: E501
    for day in (24, 25)
    for hour in range(24)
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_short_search_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with SearchProgress(patience=3600) as progress:
        progress(0.1)
        progress(0.2)
    assert capsys.readouterr() == ("", "")


def test_a_long_search_says_so_once(capsys: pytest.CaptureFixture[str]) -> None:
    with SearchProgress(patience=0) as progress:
        progress(0.1)
        progress(0.2)
    out, err = capsys.readouterr()
    assert (out, err.count("takes a while"), err.count("--since")) == ("", 1, 1)


def test_a_terminal_shows_how_far_it_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with SearchProgress(patience=0) as progress:
        progress(0.1)
        progress(0.42)
    assert "42%" in terminal.getvalue()


async def test_the_store_is_read_piece_by_piece_newest_first(tmp_path: Path) -> None:
    shares: list[float] = []
    await sqlite_reader(tmp_path, documents_of(lines_of(LOG)))
    source = SqliteReader(tmp_path, "mail", progress=shares.append)
    assert (await source.find(Criteria(text=text_term("nowhere")), 10)).events == []
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert shares[-1] > 0.9
    pieces = len(shares)
    assert pieces > 10
    shares.clear()
    found = await source.find(Criteria(text=text_term("queue active")), 3)
    assert [event["postfix_queueid"] for event in found.events] == ["AAAAA17", "AAAAA16", "AAAAA15"]
    assert len(shares) < pieces / 2


async def test_files_report_how_much_of_them_was_read(tmp_path: Path) -> None:
    shares: list[float] = []
    paths = [tmp_path / "mail.log.1", tmp_path / "mail.log"]
    for path in paths:
        path.write_bytes(b"\n".join([*lines_of(LOG), b""]))
    source = LogFilesReader(list(map(LogFile, paths)), line_reading(SETTINGS), shares.append)
    await source.find(Criteria(text=text_term("nowhere")), 10)
    assert shares == sorted(shares)
    assert (0.5 in shares, shares[-1]) == (True, 1.0)
