"""The names of months and weekdays are those of CLDR, as the installed Babel has them."""

from mailingest.syslog.calendar_names import MONTHS, WEEKDAYS
from tests.support.calendar_names import FILE, module


def test_the_names_are_those_that_the_library_has() -> None:
    assert FILE.read_text("utf-8") == module()


def test_names_stand_for_their_months() -> None:
    months = {"oct": 10, "okt": 10, "mär": 3, "märz": 3, "мар": 3, "déc": 12, "11月": 11}
    assert {name: MONTHS[name] for name in months} == {
        name: (month,) for name, month in months.items()
    }
    assert MONTHS["lis"] == (10, 11)
    assert {"tue", "tuesday", "di", "mar", "вт"} <= WEEKDAYS
