"""Settings -> the source that a question is put to."""

from collections.abc import Sequence

from mailingest.config import Settings
from mailingest.errors import UsageError
from mailingest.inputs.rotation import expand
from mailingest.trace.sources import Progress, Source, Store, unseen
from mailingest.wiring import build_elasticsearch, first_time


def open_source(
    settings: Settings, files: Sequence[str] = (), progress: Progress = unseen
) -> Source:
    """The store that is set, or log files if some are named; raises UsageError.

    ``progress`` hears of what this process reads itself; a server tells nothing.  Only that
    source's module is imported: the Elasticsearch client alone takes 20 MB.
    """
    if files:
        from mailingest.trace.file_source import FileSource

        return FileSource(expand(files, first_time(settings)), settings, progress)
    return open_store(settings, progress)


def open_store(settings: Settings, progress: Progress = unseen) -> Store:
    """The store that is set; raises UsageError if it cannot be asked."""
    if settings.elasticsearch.hosts:
        from mailingest.trace.elastic_source import ElasticSource

        return ElasticSource(build_elasticsearch(settings, None), settings.index.prefix)
    if settings.ndjson.path is not None:
        raise UsageError(
            "ndjson.path: lines of JSON cannot be searched: name log files with --file, or set "
            "sqlite.directory or elasticsearch.hosts"
        )
    from mailingest.trace.sqlite_source import SqliteSource

    return SqliteSource(settings.sqlite_directory, settings.index.prefix, progress)
