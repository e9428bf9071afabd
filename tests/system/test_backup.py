"""docs/backup.md: a day can be copied while the daemon writes it, and put back."""

import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from tests.docs.blocks import ROOT, blocks_of
from tests.support.lab.daemon import Daemon
from tests.support.lab.polling import wait_until
from tests.support.site import Site, numbered, texts
from tests.support.sqlite import count_stored


def copy_command() -> str:
    """The SQL that docs/backup.md copies a day with."""
    [line] = [
        command.text
        for command in blocks_of(ROOT / "docs" / "backup.md")[0].commands
        if "sqlite3" in command.text
    ]
    return line.partition('sqlite3 "$day" "')[2].partition('"; done')[0]


def copying(day: Path, to: Path) -> subprocess.Popen[bytes]:
    sql = copy_command().replace("$to/${day##*/}", str(to))
    return subprocess.Popen(["sqlite3", day, sql])


def stored(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return count_stored(connection)


def test_a_day_that_is_written_is_copied_whole_and_can_be_put_back(tmp_path: Path) -> None:
    site = Site(tmp_path, "[batch]\nmax_age = 0.05\n")
    sent = numbered(0, 2000)
    copies: list[int] = []

    with Daemon(site.config):
        site.hand_over(*sent[:1])
        wait_until(lambda: site.count_stored() == 1, "the first line is stored")
        [day] = (site.state / "mail").glob("*.sqlite")
        for begin in range(0, len(sent), 250):
            to = tmp_path / f"copy-{len(copies)}"
            with copying(day, to) as copy:
                site.hand_over(*sent[begin : begin + 250])
            assert copy.returncode == 0
            copies.append(stored(to))
        wait_until(lambda: site.count_stored() == len(sent), "all is stored")
    assert copies == sorted(copies)

    for path in day.parent.iterdir():
        path.unlink()
    shutil.copy(tmp_path / f"copy-{len(copies) // 2}", day)
    with Daemon(site.config):
        site.hand_over(*sent)
        wait_until(lambda: site.count_stored() == len(sent), "what is missing is stored")
    assert site.messages() == texts(sent)
