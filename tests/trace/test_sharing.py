"""Which recipients behind a filter are those before it."""

# Rows of a table.
# ruff: noqa: E501

import pytest

from mailingest.trace.sharing import Recipient, Shares, share_out

BOB, EVE = Recipient("Bob@example.net"), Recipient("eve@example.net")


def after(*addresses: str) -> list[Recipient]:
    """Recipients, some with the address before an alias: ``new < old``."""
    pairs = (address.partition(" < ") for address in addresses)
    return [Recipient(address, original or None) for address, _, original in pairs]


@pytest.mark.parametrize(
    ("before", "there", "shares", "joined"),
    [
        pytest.param([BOB, EVE], ["eve@example.net", "bob@example.net"], [[1], [0]], [], id="same"),
        pytest.param([BOB], ["x@a < bob@example.net", "y@a < BOB@example.net"], [[0, 1]], [], id="alias"),
        pytest.param([BOB], ["bob@example.net < all@example.net"], [[0]], [], id="by way of another"),
        pytest.param(
            [BOB],
            ["bob@example.net < all@example.net", "bob@example.net"],
            [[1]],
            [0],
            id="the one that the mail came in for counts",
        ),
        pytest.param([BOB, EVE], ["bob+spam@example.net", "eve@example.net"], [[0], [1]], [], id="extension"),
        pytest.param([Recipient("bob+x@a.net")], ["bob+spam@a.net"], [[0]], [], id="another extension"),
        pytest.param([Recipient("bob+x@a.net")], ["bob@a.net"], [[0]], [], id="an extension taken away"),
        pytest.param([BOB], ["bob-spam@example.net"], [[0]], [], id="qmail's delimiter"),
        pytest.param([BOB, EVE], ["bobby@example.net", "eve@example.net"], [[0], [1]], [], id="all else is told"),
        pytest.param([BOB], ["bob+spam@example.org", "x@a"], [[]], [0, 1], id="of another domain"),
        pytest.param([BOB], ["archive@example.net"], [[0]], [], id="the only one"),
        pytest.param([BOB], ["bob@example.net", "archive@example.net"], [[0]], [1], id="one that joined"),
        pytest.param([BOB], ["x@a", "y@a"], [[]], [0, 1], id="two that may be it"),
        pytest.param([BOB, EVE], ["x@a"], [[], []], [0], id="one that two may be"),
        pytest.param([BOB, BOB], ["bob@example.net"], [[0], [0]], [], id="named twice, and sent once"),
        pytest.param([BOB], [], [[]], [], id="none"),
    ],
)  # fmt: skip
def test_recipients_are_shared_out(
    before: list[Recipient], there: list[str], shares: list[list[int]], joined: list[int]
) -> None:
    assert share_out(before, after(*there), is_complete=True) == Shares(shares, joined)


def test_while_others_may_be_missing_nothing_is_concluded_from_what_is_left() -> None:
    assert share_out([BOB], after("archive@example.net"), is_complete=False) == Shares([[]], [0])
