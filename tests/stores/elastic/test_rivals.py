"""Which index template makes an index: the rules, on templates as servers list them."""

from datetime import date
from typing import Any

import pytest

from mailingest.stores.elastic.lifecycle import index_patterns
from mailingest.stores.elastic.rivals import Rivals
from mailingest.stores.elastic.template import IndexTemplate

DAY = date(2026, 11, 30)
OURS = IndexTemplate("mail", index_patterns("mail"), {})
PRIORITY = OURS.priority


def template(*patterns: str, priority: int | None = None) -> dict[str, Any]:
    return {"index_patterns": [*patterns], **({} if priority is None else {"priority": priority})}


@pytest.mark.parametrize(
    "others",
    [
        pytest.param({}, id="none"),
        pytest.param({"mail": template("mail-*", priority=500)}, id="mailingest's own, as it was"),
        pytest.param({"all": template("*", priority=PRIORITY - 1)}, id="of a lower priority"),
        pytest.param(
            {"all": template("*", priority=PRIORITY)}, id="of the same one, which servers refuse"
        ),
        pytest.param({"all": template("*")}, id="without a priority, which is 0"),
        pytest.param({"x": template("mail-archive*", "mbox-*", priority=500)}, id="of others"),
        pytest.param({"x": template("mail-2025.*", priority=500)}, id="of another year"),
        pytest.param({"x": template("mail", priority=500)}, id="of an index of that very name"),
    ],
)
def test_a_template_that_does_not_go_before_it(others: dict[str, Any]) -> None:
    assert Rivals(others, {}).lines(OURS, DAY) == []


@pytest.mark.parametrize(
    "patterns", [["*"], ["mail-*"], ["x", "*-2026.11.*"], ["mail-2026.11.30"], ["m*l-*.*.*"]]
)
def test_a_template_that_goes_before_it_is_named_with_the_fix(patterns: list[str]) -> None:
    others = {
        "low": template("*", priority=300),
        "company": template(*patterns, priority=500),
        "high": template("other-*", priority=900),
    }
    [line] = Rivals(others, {}).lines(OURS, DAY)
    assert line == (
        f"index template company (patterns {', '.join(patterns)}) has priority 500 and goes before "
        f"mailingest's mail with {PRIORITY}, so new indices such as mail-2026.11.30 are mapped as "
        f"it says: give it narrower patterns or a priority below {PRIORITY}"
    )


def test_legacy_templates_that_match_are_said_to_be_ignored() -> None:
    legacy = {
        "logstash": template("logstash-*"),
        "b": template("mail-*"),
        "a": template("*", "mail-*"),
    }
    lines = Rivals({}, legacy).lines(OURS, DAY)
    assert lines == [
        f"legacy template {name} (patterns {patterns}) makes no new index such as mail-2026.11.30: "
        "index template mail goes before it.  What you need of it belongs into the component "
        "template mail@custom"
        for name, patterns in (("a", "*, mail-*"), ("b", "mail-*"))
    ]
