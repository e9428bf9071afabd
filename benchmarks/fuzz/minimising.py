"""Many inputs -> the few that together reach as much."""

import sys
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType
from typing import Any, Final

from benchmarks.fuzz.corpus import CORPUS, inputs, replace

_PACKAGE: Final = str(Path(__file__).parents[2] / "mailingest")
# A file counts as if it had as many bytes more.
_FILE_COST: Final = 200

Check = Callable[[bytes], Iterable[str]]


def minimise(check: Check, sources: Iterable[Path], name: str, most: int) -> str:
    """Choose from directories what the corpus has from now on; says what came of it."""
    corpus = CORPUS / name
    known = {data for place in (corpus, *sources) for data in inputs(place)}
    reached: dict[bytes, set[object]] = {}
    # The shortest first, and always the same ones.
    for data in sorted(known, key=lambda data: (len(data), data)):
        try:
            reached[data] = _reached(check, data)
        except Exception as error:
            print(f"left out, for it breaks a promise: {error!r}", file=sys.stderr)
    everything = set().union(*reached.values())
    kept: list[bytes] = []
    missing = set(everything)
    while missing and len(kept) < most:
        # What brings most for its length.
        best = max(
            reached, key=lambda data: len(reached[data] & missing) / (_FILE_COST + len(data))
        )
        kept.append(best)
        missing -= reached[best]
    replace(corpus, kept)
    return (
        f"{name}: {len(kept)} of {len(known)} inputs, {sum(map(len, kept))} bytes, reach"
        f" {len(everything) - len(missing)} of {len(everything)} lines and words"
    )


def _reached(check: Check, data: bytes) -> set[object]:
    """The lines of the package that an input leads to, and its words.

    A line is another one behind another line, and where it is reached twice or four times as often.
    """
    steps: Counter[object] = Counter()

    def begin(frame: FrameType, event: str, argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(_PACKAGE):
            return None
        file, last = frame.f_code.co_filename, 0

        def step(frame: FrameType, event: str, argument: Any) -> Any:
            nonlocal last
            if event == "line":
                steps[file, last, frame.f_lineno] += 1
                last = frame.f_lineno
            return step

        return step

    before = sys.gettrace()
    sys.settrace(begin)
    try:
        words = [*check(data)]
    finally:
        sys.settrace(before)
    return {*words, *((step, times.bit_length()) for step, times in steps.items())}
