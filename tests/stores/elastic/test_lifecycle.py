"""Days by their names, policies as the servers' documentation has them, and comparable forms."""

from datetime import date, timedelta
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailingest.stores.days import day_of, is_over
from mailingest.stores.elastic.lifecycle import (
    ilm_policy,
    ilm_settings,
    index_patterns,
    ism_policy,
    plain_policy,
    plain_template,
    with_lifecycle,
)

PREFIXES = st.from_regex(r"[a-z][a-z0-9_-]{0,12}", fullmatch=True)


@pytest.mark.parametrize(
    ("name", "prefix", "day"),
    [
        pytest.param("mail-2026.11.24", "mail", date(2026, 11, 24), id="a day"),
        pytest.param("mail-2024.02.29", "mail", date(2024, 2, 29), id="a leap day"),
        pytest.param("mail-test-2026.11.24", "mail-test", date(2026, 11, 24), id="a long prefix"),
        pytest.param("mail-2026.02.29", "mail", None, id="no such day"),
        pytest.param("mail-2026.13.01", "mail", None, id="no such month"),
        pytest.param("mail-archive", "mail", None, id="another index"),
        pytest.param("mail-archive-2026.11.24", "mail", None, id="another prefix"),
        pytest.param("mail-mail-2026.11.24", "mail", None, id="the prefix twice"),
        pytest.param("2026.11.24", "mail", None, id="no prefix"),
        pytest.param("mail-2026.11.24-000001", "mail", None, id="more behind the day"),
        pytest.param("mail-2026.11.24\n", "mail", None, id="a line break behind the day"),
        pytest.param("xmail-2026.11.24", "mail", None, id="more before the prefix"),
        pytest.param("mail-٢٠٢٦.11.24", "mail", None, id="digits of another script"),
        pytest.param("mail-2026-11-24", "mail", None, id="another form of a day"),
    ],
)
def test_a_day_is_taken_from_names_of_exactly_one_form(
    name: str, prefix: str, day: date | None
) -> None:
    assert day_of(name, prefix) == day


@given(PREFIXES, st.dates())
def test_each_day_is_read_back_from_its_name(prefix: str, day: date) -> None:
    assert day_of(f"{prefix}-{day.isoformat().replace('-', '.')}", prefix) == day


@given(st.dates(), st.integers(1, 400))
def test_as_many_days_are_kept_as_are_set(today: date, days: int) -> None:
    kept = [
        ago
        for ago in range(days + 2)
        if today.toordinal() > ago
        and not is_over(today - timedelta(days=ago), today=today, days=days)
    ]
    assert kept == [ago for ago in range(days) if today.toordinal() > ago]


def test_a_day_to_come_is_not_over() -> None:
    assert not is_over(date(2026, 11, 25), today=date(2026, 11, 24), days=1)


@pytest.mark.parametrize(
    ("name", "is_daily"),
    [
        pytest.param("mail-2026.11.24", True, id="a day"),
        pytest.param("mail-1970.01.01", True, id="a host without a clock"),
        pytest.param("mail-archive", False, id="another index"),
        pytest.param("mail-test-2026.11.24", False, id="the days of a longer prefix"),
        pytest.param("mail-2020", False, id="a year"),
    ],
)
def test_the_patterns_of_a_template_match_daily_indices_only(name: str, is_daily: bool) -> None:
    assert any(fnmatchcase(name, pattern) for pattern in index_patterns("mail")) is is_daily


def test_the_policy_for_elasticsearch_is_as_documented() -> None:
    assert ilm_policy(30) == {
        "policy": {
            "phases": {
                "hot": {"min_age": "0ms", "actions": {}},
                "delete": {"min_age": "30d", "actions": {"delete": {}}},
            }
        }
    }
    assert ilm_settings("mail") == {"name": "mail-retention", "parse_origination_date": True}


def test_the_policy_for_opensearch_is_as_documented() -> None:
    assert ism_policy("mail", 30, priority=211) == {
        "policy": {
            "description": "mailingest: deletes daily indices of mail after 30 days",
            "default_state": "kept",
            "states": [
                {
                    "name": "kept",
                    "actions": [],
                    "transitions": [
                        {"state_name": "deleted", "conditions": {"min_index_age": "30d"}}
                    ],
                },
                {"name": "deleted", "actions": [{"delete": {}}], "transitions": []},
            ],
            "ism_template": [{"index_patterns": ["mail-19*.*.*", "mail-20*.*.*"], "priority": 211}],
        }
    }


def test_a_policy_that_a_server_gives_back_is_the_one_that_was_put() -> None:
    given = {
        "policy_id": "mail-retention",
        "last_updated_time": 1795500000000,
        "schema_version": 21,
        "error_notification": None,
        **ism_policy("mail", 30, priority=211)["policy"],
    }
    retry = {"count": 3, "backoff": "exponential", "delay": "1m"}
    given["states"][1]["actions"] = [{"retry": retry, "delete": {}}]
    given["ism_template"][0]["last_updated_time"] = 1795500000000
    assert plain_policy(given) == ism_policy("mail", 30, priority=211)["policy"]


def test_a_policy_that_someone_has_changed_is_another() -> None:
    changed = ilm_policy(30)["policy"]
    changed["phases"]["delete"]["actions"]["delete"]["delete_searchable_snapshot"] = False
    assert plain_policy(changed) != ilm_policy(30)["policy"]


def template(settings: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "index_patterns": ["b-*", "a-*"],
        "priority": 200,
        "template": {"settings": settings, "mappings": {"dynamic": False}},
        **more,
    }


def test_a_template_that_a_server_gives_back_is_the_one_that_was_put() -> None:
    put = template({"index": {"number_of_shards": 1}, "analysis": {"filter": {"a": {"b": True}}}})
    back = template(
        {"index": {"number_of_shards": "1", "analysis": {"filter": {"a": {"b": "true"}}}}},
        composed_of=[],
    )
    back["template"]["mappings"]["dynamic"] = "false"
    assert plain_template(put) == plain_template(back)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(template({"index": {"number_of_shards": 2}}), id="another setting"),
        pytest.param(template({"index.number_of_shards": 1, "codec": "x"}), id="one setting more"),
        pytest.param(template({"number_of_shards": 1}, priority=1), id="another priority"),
        pytest.param(template({"number_of_shards": 1}, composed_of=["x"]), id="a component"),
    ],
)
def test_a_template_that_someone_has_changed_is_another(other: dict[str, Any]) -> None:
    assert plain_template(other) != plain_template(template({"index": {"number_of_shards": 1}}))


def test_a_lifecycle_is_added_and_the_template_left_as_it_was() -> None:
    body = {"settings": {"index": {"codec": "x"}, "analysis": {}}, "mappings": {}}
    before = repr(body)
    assert with_lifecycle(body, {"name": "p"}) == {
        "settings": {"index": {"codec": "x", "lifecycle": {"name": "p"}}, "analysis": {}},
        "mappings": {},
    }
    assert with_lifecycle(body, {}) == body
    assert repr(body) == before
