"""The fault campaign in small: whatever breaks, every accepted line is stored exactly once."""

from pathlib import Path

import pytest

from benchmarks.faults import is_clean, run_campaign

# A server that was killed needs ten seconds to start again.
MOST = {"server killed": 1}


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("store", "rounds"),
    [("sqlite", 12), pytest.param("elasticsearch", 8, marks=pytest.mark.servers)],
)
def test_every_accepted_line_is_stored_once_with_all_that_is_known_of_its_mail(
    store: str, rounds: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    # Another order of faults each time; the seed in the figures repeats it.
    seed = request.config.getoption("randomly_seed", 1)
    figures = run_campaign(tmp_path, store, rounds, int(seed), MOST)
    assert is_clean(figures), f"seed {seed}: {figures}"
    assert figures["lines accepted"] > 1000
