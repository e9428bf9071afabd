"""Pictures as the pages draw them."""

from mailingest.web.pages import templates


def drawn(macro: str, *drawing: object) -> str:
    """The SVG that a macro of ``svg.html`` makes."""
    module = templates().get_template("svg.html").module
    return str(getattr(module, macro)(*drawing)).strip()
