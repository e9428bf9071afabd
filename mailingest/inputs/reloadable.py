"""What an input can do so that a reload of the configuration costs no line and no connection.

It is beside `Input`: one that does not have it is closed, and another one opened in its place.
"""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from mailingest.inputs.protocol import Input


@runtime_checkable
class Reloadable(Protocol):
    """An input whose socket outlives its settings."""

    def prepare(self, successor: Input) -> Callable[[], None] | None:
        """What makes this one go on as the successor would: same address, other settings.

        The successor is not open, and never will be.  Nothing is changed before the function is
        called, which cannot fail, and keeps the socket and its connections.  None if there is no
        such function, for the successor is of another kind.  Raises UsageError if the successor
        could not be opened for another reason than its address.
        """

    def share_address(self) -> None:
        """Let another input of this process listen at the same port as well, for a moment.

        Both have to be asked, this one before or after it is opened.
        """
