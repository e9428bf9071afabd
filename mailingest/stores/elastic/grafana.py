"""The dashboard for Grafana's Elasticsearch data source, for the prefix that is set."""

import orjson

from mailingest.config import data_directory


def grafana_dashboard(prefix: str) -> bytes:
    """The dashboard as Grafana imports and provisions it: JSON of its dashboard schema, 39.

    The data source is chosen on the dashboard itself.
    """
    dashboard = orjson.loads((data_directory("config") / "grafana-dashboard.json").read_bytes())
    dashboard["uid"] = f"{prefix}-flow"
    dashboard["title"] = f"[{prefix}] Mail flow"
    return orjson.dumps(dashboard, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
