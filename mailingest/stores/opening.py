"""A writer for one task."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mailingest.stores.protocol import Writer


@asynccontextmanager
async def opened(writer: Writer) -> AsyncIterator[Writer]:
    """The writer, open; closed afterwards, also if it could not be opened."""
    try:
        await writer.open()
        yield writer
    finally:
        await writer.close()
