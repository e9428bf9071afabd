"""Log files -> a store of their own, in which all of their mails can be traced span by span.

A question about all mails of a large file would have to read it once for each span.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from mailingest.commands.log_documents import documents_of_files
from mailingest.config import Settings
from mailingest.errors import StoreUnavailable
from mailingest.stores.opening import opened
from mailingest.stores.protocol import Progress, Reader, Writer
from mailingest.wiring import temporary_store


@asynccontextmanager
async def copied(
    settings: Settings, arguments: Sequence[str], year: int | None, progress: Progress
) -> AsyncIterator[Reader]:
    """A reader of a temporary store with all events of the files, as long as the context lasts.

    Damaged files are read as far as they go: who asks has been told by the reader of the files.
    Raises StoreUnavailable if there is no room for it, some 700 bytes an event (TMPDIR).
    """
    with TemporaryDirectory(prefix="mailingest-") as directory:
        store = temporary_store(settings, Path(directory))
        try:
            async with opened(store.writer()) as writer:
                await _copy(settings, arguments, year, writer, progress)
        except StoreUnavailable as error:
            raise StoreUnavailable(f"the files are copied for this question: {error}") from None
        yield store.reader()


async def _copy(
    settings: Settings,
    arguments: Sequence[str],
    year: int | None,
    writer: Writer,
    progress: Progress,
) -> None:
    # What could be read of a damaged file counts.
    for documents in documents_of_files(settings, arguments, year, progress, lambda _: None):
        await writer.write(documents)
