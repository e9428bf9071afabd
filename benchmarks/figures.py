"""Figures of one run, as they are kept in ``docs/performance/`` for the page and its pictures."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

DIRECTORY: Final = Path(__file__).resolve().parent.parent / "docs" / "performance"

Row = Mapping[str, float | int | str | None]


@dataclass(frozen=True, slots=True)
class Run:
    """Rows of one run, and under what circumstances they were measured."""

    name: str
    title: str
    date: str
    machine: str
    load: str
    """The load average at the beginning and at the end: processes that ran or waited for a core."""
    rows: Sequence[Row]

    @property
    def circumstances(self) -> str:
        return f"{self.date}, {self.machine}; load {self.load}"


class Recorder:
    """Notes the load at the beginning of a run."""

    def __init__(self) -> None:
        self._load = os.getloadavg()[0]

    def run(self, name: str, title: str, rows: Sequence[Row]) -> Run:
        """The run that ends now."""
        return Run(
            name,
            title,
            datetime.now(UTC).date().isoformat(),
            machine(),
            f"{self._load:.1f} to {os.getloadavg()[0]:.1f}",
            rows,
        )


def machine() -> str:
    """Cores, processor, kernel and Python."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    kernel = ".".join(platform.release().split(".")[:2])
    python = f"CPython {platform.python_version()}"
    return f"{os.cpu_count()} cores ({model}), Linux {kernel}, {python}"


def save(run: Run, directory: Path = DIRECTORY) -> None:
    """Keep a run in place of the one before."""
    directory.mkdir(parents=True, exist_ok=True)
    text = json.dumps(asdict(run), indent=1, ensure_ascii=False)
    (directory / f"{run.name}.json").write_text(text + "\n", "utf-8")


def load(name: str, directory: Path = DIRECTORY) -> Run | None:
    """The run that was kept under this name, if any."""
    file = directory / f"{name}.json"
    if not file.is_file():
        return None
    values: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return Run(**values)
