"""The inputs that are kept with the source."""

from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final

CORPUS: Final = Path(__file__).with_name("corpus")
# What broke a promise once is named by a person, and stays.
_FOUND: Final = "found-"


def inputs(directory: Path) -> Iterator[bytes]:
    """All inputs in a directory, which need not be there, the shortest first."""
    yield from sorted(
        (path.read_bytes() for path in directory.glob("*")), key=lambda x: (len(x), x)
    )


def keep(directory: Path, kept: Iterable[bytes]) -> None:
    """Put inputs into a directory, named by what is in them."""
    directory.mkdir(parents=True, exist_ok=True)
    for one in kept:
        (directory / sha256(one).hexdigest()[:16]).write_bytes(one)


def replace(directory: Path, kept: Iterable[bytes]) -> None:
    """Put inputs into a directory in place of all but those that broke a promise once."""
    stay = {path: path.read_bytes() for path in directory.glob(f"{_FOUND}*")}
    for path in {*directory.glob("*")} - stay.keys():
        path.unlink()
    keep(directory, [one for one in kept if one not in stay.values()])
