"""The public API: every name is documented.  (test_blocks.py runs the examples.)"""

import re
from pathlib import Path

from mailingest import api

TEXT = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")


def test_every_public_name_is_documented() -> None:
    documented = set(re.findall(r"`(\w+)`", TEXT.partition("## All names")[2]))
    assert set(api.__all__) <= documented
