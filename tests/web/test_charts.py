"""Pictures of numbers are well formed, keep within their frame, and take nothing for markup."""

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailingest.web.charts import Chart, Series, bar, columns, lines, number

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = '"><script>alert(1)</script>'


def chart(*values: list[float | None], name: str = "Sent") -> Chart:
    steps = [f"10:{step:02}" for step in range(len(values[0]))]
    kinds = ("sent", "deferred", "bounced")
    series = [Series(kinds[place], name, one) for place, one in enumerate(values)]
    return Chart(f"Volume {name}", f"All {name}", steps, series, " %")


def test_a_stack_has_a_part_for_each_number_but_zero() -> None:
    picture = ElementTree.fromstring(columns(chart([3, 0, 5], [1, 2, 0])))
    kinds = [one.get("class") for one in picture.iter(f"{SVG}rect")]
    # One more of each is in the legend.
    assert (kinds.count("sent"), kinds.count("deferred")) == (2 + 1, 2 + 1)
    tallest = max(
        float(one.attrib["height"])
        for one in picture.iter(f"{SVG}rect")
        if one.get("class") == "sent"
    )
    assert tallest == pytest.approx(170 * 5 / 8)


def test_each_step_tells_its_numbers() -> None:
    picture = ElementTree.fromstring(columns(chart([3000, 1])))
    titles = [one.text for one in picture.iter(f"{SVG}title")]
    assert titles[1:] == ["10:00: Sent 3\u202f000 %", "10:01: Sent 1 %"]
    assert picture.findtext(f"{SVG}desc") == "All Sent"


def test_a_line_is_broken_where_there_is_nothing_to_tell() -> None:
    picture = ElementTree.fromstring(lines(chart([1, 2, None, 4, 5, None, 6])))
    assert len(list(picture.iter(f"{SVG}polyline"))) == 2
    assert len(list(picture.iter(f"{SVG}circle"))) == 1


@given(
    st.integers(1, 70).flatmap(
        lambda steps: st.lists(
            st.lists(st.integers(0, 10**9), min_size=steps, max_size=steps), min_size=1, max_size=3
        )
    )
)
def test_everything_lies_within_the_picture(values: list[list[float | None]]) -> None:
    for draw in (columns, lines):
        picture = ElementTree.fromstring(draw(chart(*values)))
        _, _, width, height = map(float, picture.attrib["viewBox"].split())
        for one in picture.iter(f"{SVG}rect"):
            assert float(one.attrib["x"]) >= 0
            assert float(one.attrib["y"]) >= -0.01
            assert float(one.attrib["x"]) + float(one.attrib["width"]) <= width
            assert float(one.attrib["y"]) + float(one.attrib["height"]) <= height


@pytest.mark.parametrize("draw", [columns, lines])
def test_names_are_text_and_nothing_has_a_style(draw: object) -> None:
    picture = (columns if draw is columns else lines)(chart([1, 2], name=HOSTILE))
    assert "<script" not in picture
    assert "style=" not in picture
    ElementTree.fromstring(picture)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (999, "999"), (1234567, "1\u202f234\u202f567"), (2.5, "2.5"), (40.0, "40")],
)
def test_numbers_are_for_people(value: float, shown: str) -> None:
    assert number(value) == shown


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_bar_is_as_long_as_its_share(share: float) -> None:
    width = float(ElementTree.fromstring(bar(share))[0].attrib["width"])
    # The smallest can still be seen.
    assert width == max(100 * share, 0.6)
