"""The logger of all modules: structlog's, imported with the first entry.

structlog imports rich and Pygments, which takes longer than many a command that logs nothing.
"""

import sys
from collections.abc import Callable
from typing import Any, Final


class Logger:
    """Has the methods of structlog's loggers: ``log.warning("what happened", path=path)``."""

    def __init__(self) -> None:
        self._configure: Callable[[], None] | None = None

    def configured_by(self, configure: Callable[[], None]) -> None:
        """Have entries written from now on as this sets structlog up, once it is imported."""
        if "structlog" in sys.modules:
            configure()
        else:
            self._configure = configure

    def __getattr__(self, method: str) -> Any:
        if method.startswith("__"):
            raise AttributeError(method)
        import structlog

        if self._configure is not None:
            self._configure()
            self._configure = None
        return getattr(structlog.get_logger(), method)


log: Final = Logger()
"""The one of this process."""
