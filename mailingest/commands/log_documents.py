"""Log files -> the documents of all their lines, some at once."""

from collections.abc import Callable, Iterator, Sequence

from mailingest.config import Settings
from mailingest.documents import Document
from mailingest.inputs.files import DamagedFile
from mailingest.stores.protocol import Progress
from mailingest.wiring import build_pipeline, log_files


def documents_of_files(
    settings: Settings,
    arguments: Sequence[str],
    year: int | None,
    progress: Progress,
    damaged: Callable[[DamagedFile], None],
) -> Iterator[list[Document]]:
    """The documents in the order of the files; ``year`` is as in `mailingest.wiring.log_files`.

    A damaged file is read as far as it goes, and ``damaged`` hears of it.
    """
    # A question to a store imports this module, and needs no pipeline.
    from mailingest.pipeline import FrameBlock

    pipeline = build_pipeline(settings, live=False, everything=True)
    files = log_files(settings, arguments, year)
    size = sum(file.size_bytes for file in files) or 1
    done = 0
    for file in files:
        pipeline.begin_file()
        try:
            for block in file.blocks(0):
                progress((done + block.progress) / size)
                frames = FrameBlock(block.lines, file.mtime)
                yield pipeline.feed_all(frames)
                frames.check()
        except DamagedFile as error:
            damaged(error)
        finally:
            done += file.size_bytes
    yield pipeline.flush()
