"""The names of months are those of CLDR, as the installed Babel has them."""

from tests.support.month_names import FILE, module
from mailingest.syslog.month_names import MONTHS


def test_the_names_are_those_that_the_library_has() -> None:
    assert FILE.read_text("utf-8") == module()


def test_names_stand_for_their_months() -> None:
    names = {
        "oct": 10,
        "okt": 10,
        "oktober": 10,
        "mär": 3,
        "märz": 3,
        "мар": 3,
        "déc": 12,
        "11月": 11,
    }
    assert {name: MONTHS[name] for name in names} == {
        name: (month,) for name, month in names.items()
    }
    assert MONTHS["lis"] == (10, 11)
