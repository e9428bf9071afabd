"""Whose an index template is, and what an operator's component changes of it."""

from typing import Any

import pytest

from mailingest.stores.elastic.advice import Layout
from mailingest.stores.elastic.lifecycle import index_patterns
from mailingest.stores.elastic.schema import index_template
from mailingest.stores.elastic.template import IndexTemplate, OnServer

OURS = IndexTemplate("mail", index_patterns("mail"), index_template(shards=2, replicas=1))
EARLIER: dict[str, Any] = {"template": index_template(replicas=1)}
# As servers give it back.
GIVEN_BACK = {"template": {"settings": {"index": EARLIER["template"]["settings"]}}}


@pytest.mark.parametrize(
    ("template", "is_foreign"),
    [
        pytest.param({}, False, id="none"),
        pytest.param(OURS.request(with_custom=False), False, id="mailingest's"),
        pytest.param(OURS.request(with_custom=True), False, id="with the operator's component"),
        pytest.param(EARLIER, False, id="an earlier version's"),
        pytest.param(GIVEN_BACK, False, id="an earlier version's, as a server gives it back"),
        pytest.param({**EARLIER, "_meta": {"by": "ann"}}, False, id="with a note"),
        pytest.param({**EARLIER, "_meta": {"managed_by": "ann"}}, True, id="taken over by ann"),
        pytest.param({"composed_of": ["company"]}, True, id="of components"),
        pytest.param({"_meta": None, "template": {"settings": {}}}, True, id="of nothing"),
        pytest.param(
            {"template": {"settings": {"index": {"analysis": {"analyzer": {"mine": {}}}}}}},
            True,
            id="with another analysis",
        ),
    ],
)
def test_a_template_is_somebody_elses(template: dict[str, Any], is_foreign: bool) -> None:
    assert OnServer(template, {}, None).is_foreign is is_foreign


@pytest.mark.parametrize(
    ("settings", "layout"),
    [
        pytest.param(None, Layout(2, 1, 30), id="no component"),
        pytest.param({}, Layout(2, 1, 30), id="an empty one"),
        pytest.param({"index": {"number_of_shards": "5"}}, Layout(5, 1, 30), id="shards"),
        pytest.param({"number_of_replicas": 0}, Layout(2, 0, 30), id="replicas, not below index"),
        pytest.param(
            {"index.auto_expand_replicas": "0-1"}, Layout(2, None, 30), id="as many as nodes"
        ),
        pytest.param(
            {"index": {"auto_expand_replicas": False}}, Layout(2, 1, 30), id="not as many as nodes"
        ),
    ],
)
def test_the_operators_settings_go_before_the_configured_ones(
    settings: dict[str, Any] | None, layout: Layout
) -> None:
    custom = None if settings is None else {"template": {"settings": settings}}
    assert OnServer({}, {}, custom).layout(OURS, 30) == layout
