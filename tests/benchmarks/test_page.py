"""The page about performance: its tables are those of the figures, its pictures are whole."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import figures, flame, page

SAMPLES = """\
main (mailingest/__main__.py);parse (mailingest/commands/parse.py);Pipeline.feed (mailingest/pipeline.py:1) 30
main (mailingest/__main__.py);parse (mailingest/commands/parse.py);Pipeline.feed (mailingest/pipeline.py:1);EventParser.parse (mailingest/postfix/parser.py:9) 60
main (mailingest/__main__.py);parse (mailingest/commands/parse.py) 10
main (mailingest/__main__.py);_find_and_load (<frozen importlib._bootstrap>:1) 500
"""  # noqa: E501 - a stack is one line


@pytest.mark.parametrize("file", page.FILES, ids=lambda file: file.name)
def test_the_tables_are_those_of_the_figures(file: Path) -> None:
    text = file.read_text("utf-8")
    assert text == page.document(text), "run: make bench-page"


def test_totals_of_several_logs_stand_side_by_side(tmp_path: Path) -> None:
    rows: list[figures.Row] = [
        {
            "log": log,
            "total": total,
            "pflogsumm": theirs,
            "mailingest": ours,
            "why": why,
            "explained": "yes",
        }
        for log, total, theirs, ours, why in (
            ("one", "received", "12", 10, "+2 given back"),
            ("one", "rejected", "3", 3, ""),
            ("two", "received", "1", 1, ""),
            ("two", "rejected", "0", 4, "-4 milter-reject"),
        )
    ]
    figures.save(figures.Recorder().run("report-totals", "totals", rows), tmp_path)
    text = page.document("<!-- figures: report-totals -->\n<!-- end of figures -->\n", tmp_path)
    assert "| total | one: pflogsumm / mailingest | two: pflogsumm / mailingest |" in text
    assert "| received | 12 / 10 (+2 given back) | 1 / 1 |" in text
    assert "| rejected | 3 / 3 | 0 / 4 (-4 milter-reject) |" in text


def test_a_program_that_is_missing_is_in_the_table(tmp_path: Path) -> None:
    figures_of = {"lines/CPU s": 123_456, "times": 1.0, "max RSS MB": 80, "taken apart": 1.0}
    rows: list[figures.Row] = [
        {"what": "mailingest parse FILE", "version": "1", "lines": 10**6, "note": "", **figures_of},
        {
            "what": "pygrok",
            "version": "1",
            "lines": 10**6,
            "note": "",
            **figures_of,
            "times": 4,
        },
        {
            "what": "X",
            "version": "",
            "lines": 0,
            "note": "missing: E: no | such",
            **dict.fromkeys(figures_of),
        },
    ]
    run = figures.Recorder().run("parse", "parse", rows)
    figures.save(run, tmp_path)
    assert figures.load("parse", tmp_path) == run
    text = page.document("<!-- figures: peers -->\n<!-- end of figures -->\n", tmp_path)
    assert "| **`mailingest parse FILE`** | 1 | 123,000 | 1 | 80 | 100.0% |  |" in text
    assert "| X |  | - | - | - | - | missing: E: no / such |" in text
    assert "`mailingest parse FILE`: **4.0 times** as fast as pygrok" in text
    assert page.document(text, tmp_path) == text


def test_a_place_without_figures_says_so(tmp_path: Path) -> None:
    text = page.document("<!-- figures: curve-store -->old<!-- end of figures -->", tmp_path)
    assert text == "<!-- figures: curve-store -->old<!-- end of figures -->"
    text = page.document("<!-- figures: curve-store -->\nold\n<!-- end of figures -->", tmp_path)
    assert "Not measured yet." in text
    assert "old" not in text


def test_a_flame_graph_has_the_way_of_a_line_and_not_the_start() -> None:
    picture = ElementTree.fromstring(flame.svg(flame.read(SAMPLES)))
    titles = [title.text for title in picture.iter("{http://www.w3.org/2000/svg}title")]
    assert titles == [
        "mailingest parse: reading, parsing, writing: 100.0%",
        "Pipeline.feed (mailingest/pipeline.py:1): 90.0%",
        "EventParser.parse (mailingest/postfix/parser.py:9): 60.0%",
    ]
    with pytest.raises(ValueError, match="no sample"):
        flame.read(SAMPLES.splitlines()[-1])
