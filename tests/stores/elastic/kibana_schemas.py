"""What Kibana and OpenSearch Dashboards take as attributes of saved objects, type by type.

Sources: Kibana 8.8 and later check an import against the schemas in
``src/plugins/{dashboard,visualizations,saved_search,data_views}/server`` (``schemas``,
``modelVersions``, ``content_management``).  Kibana 7 and OpenSearch Dashboards store into an index
with strict mappings, those of the saved object types, which know the same names or fewer.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Text = str


class Strict(BaseModel):
    """Unknown names are refused, and nothing is converted."""

    model_config = ConfigDict(extra="forbid", strict=True)


class SearchSource(Strict):
    searchSourceJSON: Text


class RefreshInterval(Strict):
    pause: bool
    value: int
    display: Text | None = None
    section: int | None = None


class IndexPattern(Strict):
    title: Text
    timeFieldName: Text | None = None


class Search(Strict):
    title: Text
    description: Text = ""
    columns: list[Text] = []
    sort: list[list[Text]] = []
    kibanaSavedObjectMeta: SearchSource
    hits: int | None = None
    version: int | None = None


class Visualization(Strict):
    title: Text
    description: Text | None = None
    version: int | None = None
    kibanaSavedObjectMeta: SearchSource | None = None
    uiStateJSON: Text | None = None
    visState: Text | None = None
    savedSearchRefName: Text | None = None


class Dashboard(Strict):
    title: Text
    description: Text = ""
    kibanaSavedObjectMeta: SearchSource
    timeRestore: bool | None = None
    timeFrom: Text | None = None
    timeTo: Text | None = None
    refreshInterval: RefreshInterval | None = None
    panelsJSON: Text = "[]"
    optionsJSON: Text = "{}"
    hits: int | None = None
    version: int | None = None


class Reference(Strict):
    name: Text
    type: Text
    id: Text


class SavedObject(Strict):
    """A line of an import; `coreMigrationVersion` came with Kibana 7.12 and may be left out."""

    type: Literal["index-pattern", "search", "visualization", "dashboard"]
    id: Text
    attributes: dict[Text, Any]
    references: list[Reference]
    migrationVersion: dict[Text, Text]


ATTRIBUTES: dict[str, type[Strict]] = {
    "index-pattern": IndexPattern,
    "search": Search,
    "visualization": Visualization,
    "dashboard": Dashboard,
}
