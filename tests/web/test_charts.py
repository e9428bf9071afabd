"""Charts are well-formed SVG, keep within their frame, and take no text for markup."""

from collections.abc import Callable
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailingest.web.charts import (
    HEIGHT,
    WIDTH,
    Chart,
    ChartDrawing,
    Series,
    line_chart,
    stacked_columns,
)
from tests.web.drawing import drawn

SVG = "{http://www.w3.org/2000/svg}"
MARKUP = '"><script>alert(1)</script>'


def chart(*values: list[float | None], name: str = "Sent") -> Chart:
    buckets = [f"10:{minute:02}" for minute in range(len(values[0]))]
    kinds = ("sent", "deferred", "bounced")
    series = [Series(kinds[place], name, one) for place, one in enumerate(values)]
    return Chart(f"Volume {name}", f"All {name}", buckets, series, " %")


def svg(drawing: ChartDrawing) -> str:
    return f"<figure>{drawn('chart', drawing, WIDTH, HEIGHT)}</figure>"


def plot(drawing: ChartDrawing) -> ElementTree.Element:
    """The picture, without what stands beside it."""
    [found] = [
        one
        for one in ElementTree.fromstring(svg(drawing)).iter(f"{SVG}svg")
        if one.get("class") == "chart"
    ]
    return found


def texts(drawing: ChartDrawing, kind: str = "") -> list[str | None]:
    """What is written beside the picture, or the labels of wide or narrow windows."""
    every = ElementTree.fromstring(svg(drawing)).iter(f"{SVG}text")
    return [one.text for one in every if kind in ("", one.get("class"))]


def test_a_stack_has_a_part_for_each_number_but_zero() -> None:
    picture = plot(stacked_columns(chart([3, 0, 5], [1, 2, 0])))
    kinds = [one.get("class") for one in picture.iter(f"{SVG}rect")]
    assert (kinds.count("sent"), kinds.count("deferred")) == (2, 2)
    tallest = max(
        float(one.attrib["height"])
        for one in picture.iter(f"{SVG}rect")
        if one.get("class") == "sent"
    )
    assert tallest == pytest.approx(HEIGHT * 5 / 8)


def test_each_bucket_shows_its_numbers() -> None:
    picture = plot(stacked_columns(chart([3000, 1])))
    titles = [one.text for one in picture.iter(f"{SVG}title")]
    assert titles[1:] == ["10:00: Sent 3\u202f000 %", "10:01: Sent 1 %"]
    assert picture.findtext(f"{SVG}desc") == "All Sent"


def test_a_line_is_broken_where_there_is_no_number() -> None:
    picture = plot(line_chart(chart([1, 2, None, 4, 5, None, 6])))
    assert len(list(picture.iter(f"{SVG}polyline"))) == 2
    assert [one.get("class") for one in picture.iter(f"{SVG}path")].count("dot sent") == 1


@given(
    st.integers(1, 70).flatmap(
        lambda buckets: st.lists(
            st.lists(st.integers(0, 10**9), min_size=buckets, max_size=buckets),
            min_size=1,
            max_size=3,
        )
    )
)
def test_everything_lies_within_the_picture(values: list[list[float | None]]) -> None:
    for draw in (stacked_columns, line_chart):
        drawing = draw(chart(*values))
        picture = plot(drawing)
        _, _, width, height = map(float, picture.attrib["viewBox"].split())
        for one in picture.iter(f"{SVG}rect"):
            assert float(one.attrib["x"]) >= 0
            assert float(one.attrib["y"]) >= -0.01
            assert float(one.attrib["x"]) + float(one.attrib["width"]) <= width
            assert float(one.attrib["y"]) + float(one.attrib["height"]) <= height + 0.01
        assert all(0 <= one.x <= 100 for one in drawing.times)


@pytest.mark.parametrize(
    ("count", "wide", "narrow"),
    [
        (1, ["10:00"], ["10:00"]),
        (2, ["10:00", "10:01"], ["10:00", "10:01"]),
        (49, ["10:00", "10:09", "10:18", "10:27", "10:36"], ["10:00", "10:48"]),
    ],
)
def test_there_are_as_many_times_as_have_room(
    count: int, wide: list[str], narrow: list[str]
) -> None:
    drawing = stacked_columns(chart([1.0] * count))
    assert texts(drawing, "wide") == wide
    assert texts(drawing, "narrow") == narrow


@pytest.mark.parametrize("draw", [stacked_columns, line_chart])
def test_names_are_text_and_nothing_has_a_style(draw: Callable[[Chart], ChartDrawing]) -> None:
    drawing = draw(chart([1, 2], name=MARKUP))
    picture = svg(drawing)
    assert "<script" not in picture
    assert "style=" not in picture
    root = plot(drawing)
    assert root.findtext(f"{SVG}title") == f"Volume {MARKUP}"
    assert root.findtext(f"{SVG}desc") == f"All {MARKUP}"
    [entry] = ElementTree.fromstring(picture).iter("li")
    assert "".join(entry.itertext()).strip() == MARKUP
    assert f"10:00: {MARKUP} 1 %" in [one.text for one in root.iter(f"{SVG}title")]


def test_units_and_times_are_text() -> None:
    drawing = stacked_columns(Chart("", "", [MARKUP], [Series("sent", "", [1])], MARKUP))
    # The label of wide windows, and that of narrow ones.
    assert texts(drawing).count(MARKUP) == 2
    assert texts(drawing).count(f"4{MARKUP}") == 1


@pytest.mark.parametrize("percent", [0.6, 50.0, 100.0])
def test_a_bar_is_as_long_as_its_share(percent: float) -> None:
    width = float(ElementTree.fromstring(drawn("share_bar", percent))[0].attrib["width"])
    assert width == percent
