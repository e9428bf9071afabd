"""What came of a replay, for people and programs."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final, Self

import orjson

from mailingest.inputs.files import LogFile

_EXIT_INTERRUPTED: Final = 130


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """What came of a replay: numbers of files, of lines, and of documents by what became of them.

    ``stored`` are those that are in the store now, ``duplicates`` the ones of them that had been
    there before.  ``unmatched`` are lines that no pattern matched, by tag.
    """

    interrupted: bool
    files: int
    files_damaged: int
    lines: int
    empty: int
    unmatched: dict[str, int]
    stored: int
    duplicates: int
    rejected: int
    left_out: int
    deliveries_unmatched: int

    @classmethod
    def interrupted_before(cls, files: Sequence[LogFile]) -> Self:
        """That of a process that had not begun when it was ended."""
        return cls(
            interrupted=True,
            files=len(files),
            files_damaged=0,
            lines=0,
            empty=0,
            unmatched={},
            stored=0,
            duplicates=0,
            rejected=0,
            left_out=0,
            deliveries_unmatched=0,
        )

    @classmethod
    def of_shares(cls, results: Sequence[Self]) -> Self:
        """What came of it for all workers, each of which has read all files for its own lines."""
        unmatched: Counter[str] = Counter()
        for one in results:
            unmatched.update(one.unmatched)
        return cls(
            interrupted=any(one.interrupted for one in results),
            files=results[0].files,
            files_damaged=max(one.files_damaged for one in results),
            lines=sum(one.lines for one in results),
            empty=sum(one.empty for one in results),
            unmatched=dict(unmatched),
            stored=sum(one.stored for one in results),
            duplicates=sum(one.duplicates for one in results),
            rejected=sum(one.rejected for one in results),
            left_out=sum(one.left_out for one in results),
            deliveries_unmatched=sum(one.deliveries_unmatched for one in results),
        )

    @property
    def exit_code(self) -> int:
        """1 if a file was damaged or a document was refused, 130 after an interruption."""
        if self.interrupted:
            return _EXIT_INTERRUPTED
        return 1 if self.files_damaged or self.rejected else 0

    def sentence(self) -> str:
        """It in words; what is 0 and need not be is left out."""
        known = f", {self.duplicates:,} of which were stored before" if self.duplicates else ""
        unmatched = sum(self.unmatched.values())
        parts = (
            (unmatched, "no pattern matched {} (mailingest parse --unmatched shows them)"),
            (self.rejected, "the store refused {} (mailingest deadletter list says why)"),
            (self.left_out, "{} are left out, as the configuration says"),
            (self.files_damaged, "{} of the files are damaged, and read as far as they could be"),
        )
        said = [
            f"{self.stored:,} events of {self.lines:,} lines in {self.files:,} "
            f"{'file' if self.files == 1 else 'files'} are in the store{known}",
            *(text.format(f"{count:,}") for count, text in parts if count),
        ]
        if self.interrupted:
            said.append("it was interrupted: the same command goes on from here")
        return f"{'; '.join(said)}."

    def json(self) -> str:
        """It as an object, with the counters' names."""
        names = {
            "empty": "lines_empty",
            "unmatched": "lines_unmatched",
            "stored": "documents_stored",
            "duplicates": "documents_duplicate",
            "rejected": "documents_rejected",
            "left_out": "documents_left_out",
        }
        return orjson.dumps(
            {names.get(name, name): value for name, value in asdict(self).items()}
        ).decode()
