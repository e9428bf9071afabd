"""Power failures: a recorded daemon, cut at any moment, and what the next one makes of the rest."""

from pathlib import Path
from random import Random

import pytest

from benchmarks.fault_power import Recording, cut, record

# Of one recording; the campaign makes more.
CUTS = 10
BURSTS = 60


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """Other cuts each time; the seed in the message repeats them, if not the recording."""
    return int(request.config.getoption("randomly_seed", 1))


def cuts(recording: Recording, directory: Path, seed: int) -> list[dict[str, int]]:
    random = Random(seed)
    return [cut(recording, directory / "cut", random) for _ in range(CUTS)]


@pytest.mark.parametrize("store", ["sqlite", "ndjson"])
def test_what_is_synced_before_it_is_accepted_survives_with_all_that_is_known_of_its_mail(
    tmp_path: Path, seed: int, store: str
) -> None:
    recording = record(tmp_path / "recorded", store, "always", BURSTS, seed)
    for figures in cuts(recording, tmp_path, seed):
        assert (figures["missing"], figures["facts missing in deliveries"]) == (0, 0), (
            f"seed {seed}: {figures}"
        )
    # A disk that takes no notice of a sync loses what was accepted: so it would be found.
    random = Random(seed)
    assert any(
        cut(recording, tmp_path / "cut", random, ignores_syncs=True)["missing"] for _ in range(100)
    )


def test_what_was_accepted_before_the_last_sync_survives(tmp_path: Path, seed: int) -> None:
    recording = record(tmp_path / "recorded", "sqlite", "interval", BURSTS, seed)
    for figures in cuts(recording, tmp_path, seed):
        assert figures["missing, accepted before the last sync"] == 0, f"seed {seed}: {figures}"
