"""Charts are well-formed SVG, keep within their frame, and take no text for markup."""

from collections.abc import Callable
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailingest.web.charts import Chart, ChartDrawing, Series, line_chart, stacked_columns
from tests.web.drawing import drawn

SVG = "{http://www.w3.org/2000/svg}"
MARKUP = '"><script>alert(1)</script>'


def chart(*values: list[float | None], name: str = "Sent") -> Chart:
    buckets = [f"10:{minute:02}" for minute in range(len(values[0]))]
    kinds = ("sent", "deferred", "bounced")
    series = [Series(kinds[place], name, one) for place, one in enumerate(values)]
    return Chart(f"Volume {name}", f"All {name}", buckets, series, " %")


def svg(drawing: ChartDrawing) -> str:
    return drawn("chart", drawing)


def test_a_stack_has_a_part_for_each_number_but_zero() -> None:
    picture = ElementTree.fromstring(svg(stacked_columns(chart([3, 0, 5], [1, 2, 0]))))
    kinds = [one.get("class") for one in picture.iter(f"{SVG}rect")]
    # One more of each is in the legend.
    assert (kinds.count("sent"), kinds.count("deferred")) == (2 + 1, 2 + 1)
    tallest = max(
        float(one.attrib["height"])
        for one in picture.iter(f"{SVG}rect")
        if one.get("class") == "sent"
    )
    assert tallest == pytest.approx(170 * 5 / 8)


def test_each_bucket_shows_its_numbers() -> None:
    picture = ElementTree.fromstring(svg(stacked_columns(chart([3000, 1]))))
    titles = [one.text for one in picture.iter(f"{SVG}title")]
    assert titles[1:] == ["10:00: Sent 3\u202f000 %", "10:01: Sent 1 %"]
    assert picture.findtext(f"{SVG}desc") == "All Sent"


def test_a_line_is_broken_where_there_is_no_number() -> None:
    picture = ElementTree.fromstring(svg(line_chart(chart([1, 2, None, 4, 5, None, 6]))))
    assert len(list(picture.iter(f"{SVG}polyline"))) == 2
    assert len(list(picture.iter(f"{SVG}circle"))) == 1


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
        picture = ElementTree.fromstring(svg(draw(chart(*values))))
        _, _, width, height = map(float, picture.attrib["viewBox"].split())
        for one in picture.iter(f"{SVG}rect"):
            assert float(one.attrib["x"]) >= 0
            assert float(one.attrib["y"]) >= -0.01
            assert float(one.attrib["x"]) + float(one.attrib["width"]) <= width
            assert float(one.attrib["y"]) + float(one.attrib["height"]) <= height


@pytest.mark.parametrize("draw", [stacked_columns, line_chart])
def test_names_are_text_and_nothing_has_a_style(draw: Callable[[Chart], ChartDrawing]) -> None:
    picture = svg(draw(chart([1, 2], name=MARKUP)))
    assert "<script" not in picture
    assert "style=" not in picture
    root = ElementTree.fromstring(picture)
    assert root.findtext(f"{SVG}title") == f"Volume {MARKUP}"
    assert root.findtext(f"{SVG}desc") == f"All {MARKUP}"
    assert MARKUP in [one.text for one in root.iter(f"{SVG}text")]
    assert f"10:00: {MARKUP} 1 %" in [one.text for one in root.iter(f"{SVG}title")]


def test_units_and_times_are_text() -> None:
    drawing = stacked_columns(Chart("", "", [MARKUP], [Series("sent", "", [1])], MARKUP))
    root = ElementTree.fromstring(svg(drawing))
    texts = [one.text for one in root.iter(f"{SVG}text")]
    assert texts.count(MARKUP) == 1
    assert texts.count(f"4{MARKUP}") == 1


@pytest.mark.parametrize("percent", [0.6, 50.0, 100.0])
def test_a_bar_is_as_long_as_its_share(percent: float) -> None:
    width = float(ElementTree.fromstring(drawn("share_bar", percent))[0].attrib["width"])
    assert width == percent
