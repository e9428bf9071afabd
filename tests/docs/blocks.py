"""The blocks of code in README.md and docs/, and what is said of how they are tested."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
DOCUMENTS: Final = (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")))
MARKS: Final = ("tested", "exit", "with", "until", "shape", "input")
"""What a comment above a block may say; docs/architecture.md has what each one means."""

_FENCE: Final = re.compile(
    r"^(?P<marks>(?:<!-- [^\n]* -->\n)*)```(?P<language>\S*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_MARK: Final = re.compile(r"^<!-- (\w+)(?:: (.*?))? -->$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Command:
    """A line after a prompt, with those that go on with it, and what is shown below it."""

    text: str
    shown: str


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block, and the comments right above it as ``marks``."""

    document: Path
    line: int
    language: str
    text: str
    marks: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.document.relative_to(ROOT)}:{self.line}"

    @property
    def key(self) -> tuple[str, str]:
        """What a table of exceptions knows it by: the document and the first line."""
        return str(self.document.relative_to(ROOT)), self.text.partition("\n")[0]

    @property
    def commands(self) -> list[Command]:
        """Those of a console; raises ValueError for a block that begins with something else."""
        if not self.text.startswith(("$ ", "# ")):
            raise ValueError(f"{self.name}: a console begins with `$ ` (a user) or `# ` (root)")
        return list(_commands(self.text.splitlines()))


def blocks_of(document: Path) -> list[Block]:
    """All fenced blocks of a document, in their order."""
    text = document.read_text("utf-8")
    return [
        Block(
            document,
            text.count("\n", 0, found.start("text")),
            found["language"],
            found["text"],
            dict(_MARK.findall(found["marks"])),
        )
        for found in _FENCE.finditer(text)
    ]


def all_blocks() -> list[Block]:
    """Those of all documents."""
    return [block for document in DOCUMENTS for block in blocks_of(document)]


def _commands(lines: list[str]) -> Iterator[Command]:
    command: list[str] = []
    shown: list[str] = []
    for line in lines:
        if command and _goes_on(command, line):
            command.append(line)
        elif line.startswith(("$ ", "# ")):
            if command:
                yield Command("\n".join(command), "\n".join(shown))
            command, shown = [line[2:]], []
        else:
            shown.append(line)
    yield Command("\n".join(command), "\n".join(shown))


def _goes_on(command: list[str], line: str) -> bool:
    """Whether a shell would ask for more: a pipe, a backslash, an open here-document."""
    if command[-1].endswith(("|", "\\")):
        return True
    here = re.search(r"<<-?\s*'?(\w+)'?", command[0])
    return here is not None and here[1] not in command[1:]
