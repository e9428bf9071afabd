"""Postfix mail logs in, traced mail events out."""

from importlib.util import find_spec

__version__ = "0.1.0"


def build() -> str:
    """Which of the two wheels this is: ``compiled``, or ``pure Python`` as is a source tree."""
    spec = find_spec("mailingest.pipeline")
    is_source = spec is None or (spec.origin or "").endswith(".py")
    return "pure Python" if is_source else "compiled"
