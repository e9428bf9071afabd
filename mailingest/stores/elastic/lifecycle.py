"""How long daily indices are kept: policies that a server keeps to.

Sources: index lifecycle management (ILM) of the Elasticsearch reference, `PUT _ilm/policy`, delete
phase, `index.lifecycle.*` settings; Index State Management (ISM) of the OpenSearch documentation,
`PUT _plugins/_ism/policies`, `ism_template`.

The rule is that of `mailingest.stores.days`.
"""

from collections.abc import Mapping
from typing import Any, Final


def index_patterns(prefix: str) -> tuple[str, ...]:
    """Patterns of the daily indices, as templates take them: `*` is the only wildcard.

    They begin with the century, for `mail-archive` or `mail-test-2026.11.24` not to match.
    1970 is the year of a host without a clock.
    """
    return (f"{prefix}-19*.*.*", f"{prefix}-20*.*.*")


def policy_name(prefix: str) -> str:
    """The name of the policy on the server, which has policies of others as well."""
    return f"{prefix}-retention"


def ilm_policy(days: int) -> dict[str, Any]:
    """The policy for Elasticsearch."""
    return {
        "policy": {
            "phases": {
                "hot": {"min_age": "0ms", "actions": {}},
                "delete": {"min_age": f"{days}d", "actions": {"delete": {}}},
            }
        }
    }


def ilm_settings(prefix: str) -> dict[str, Any]:
    """What an index template has below `index.lifecycle` to attach new indices to the policy.

    The age counts from the day in the name: a day that is replayed later is not kept longer.
    """
    return {"name": policy_name(prefix), "parse_origination_date": True}


def ism_policy(prefix: str, days: int, *, priority: int) -> dict[str, Any]:
    """The policy for OpenSearch; `ism_template` attaches new indices.

    ISM knows only the age since an index was created.
    """
    return {
        "policy": {
            "description": f"mailingest: deletes daily indices of {prefix} after {days} days",
            "default_state": "kept",
            "states": [
                {
                    "name": "kept",
                    "actions": [],
                    "transitions": [
                        {"state_name": "deleted", "conditions": {"min_index_age": f"{days}d"}}
                    ],
                },
                {"name": "deleted", "actions": [{"delete": {}}], "transitions": []},
            ],
            "ism_template": [
                {"index_patterns": list(index_patterns(prefix)), "priority": priority}
            ],
        }
    }


def with_lifecycle(template: Mapping[str, Any], lifecycle: Mapping[str, Any]) -> dict[str, Any]:
    """An index template's settings and mappings, with these settings below `index.lifecycle`."""
    if not lifecycle:
        return dict(template)
    settings = template.get("settings", {})
    index = {**settings.get("index", {}), "lifecycle": dict(lifecycle)}
    return {**template, "settings": {**settings, "index": index}}


# What ISM adds to a policy by itself.
_ADDED: Final = frozenset({"policy_id", "last_updated_time", "schema_version", "retry", "user"})
# What ILM and ISM add where nothing else was given.
_DEFAULTS: Final = (("delete_searchable_snapshot", True), ("error_notification", None))


def plain_policy(policy: Any) -> Any:
    """A policy as it was put, without what the server has added to it."""
    match policy:
        case Mapping():
            return {
                name: plain_policy(value)
                for name, value in policy.items()
                if name not in _ADDED and (name, value) not in _DEFAULTS
            }
        case list():
            return [plain_policy(each) for each in policy]
        case _:
            return policy


def plain_template(template: Mapping[str, Any]) -> dict[str, Any]:
    """An index or component template in one form, however it was put.

    Settings are flat, as text, below `index.`: servers give them back like that.  An empty part is
    no part.
    """
    inner = template.get("template", {})
    settings = {
        name if name.startswith("index.") else f"index.{name}": value
        for name, value in _flat(inner.get("settings", {}))
    }
    parts = {
        "index_patterns": sorted(template.get("index_patterns", [])),
        "priority": template.get("priority"),
        "composed_of": template.get("composed_of"),
        "settings": settings,
        "mappings": _in_one_form(inner.get("mappings", {})),
        "aliases": inner.get("aliases"),
        "_meta": template.get("_meta"),
    }
    return {name: value for name, value in parts.items() if value}


def _flat(settings: Mapping[str, Any], above: str = "") -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for name, value in settings.items():
        if isinstance(value, Mapping):
            pairs += _flat(value, f"{above}{name}.")
        else:
            pairs.append((f"{above}{name}", _in_one_form(value, as_text=True)))
    return pairs


def _in_one_form(value: Any, *, as_text: bool = False) -> Any:
    """Booleans as text, since some servers give `false` and some `"false"`."""
    match value:
        case Mapping():
            return {name: _in_one_form(inner, as_text=as_text) for name, inner in value.items()}
        case list():
            return [_in_one_form(inner, as_text=as_text) for inner in value]
        case bool():
            return str(value).lower()
        case _:
            return str(value) if as_text else value
