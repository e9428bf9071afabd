"""Tokens of scripts that ask the page's API: web-token."""

from pathlib import Path
from typing import Annotated

import typer

from mailingest.cli.options import ConfigOption, DomainsOption, start
from mailingest.errors import UsageError
from mailingest.escaping import escape_terminal

NameArgument = Annotated[str, typer.Argument(show_default=False)]


def create(
    name: NameArgument,
    domain: DomainsOption = None,
    config: ConfigOption = None,
) -> None:
    """Add a token to web.tokens_file, and print it: it is kept nowhere else.

    Example: mailingest web-token create ticket-system
    """
    from mailingest.web import tokens

    print(tokens.create(_file(config), name, domain or ()))


def show(config: ConfigOption = None) -> None:
    """List the names of the tokens, and the domains that each is bound to."""
    from mailingest.web import tokens

    for token in tokens.read_tokens(_file(config)):
        domains = "*" if token.domains is None else str(token.domains)
        print(f"{escape_terminal(token.name)}\t{domains}")


def revoke(name: NameArgument, config: ConfigOption = None) -> None:
    """Take a token out of web.tokens_file; the page knows after a restart."""
    from mailingest.web import tokens

    tokens.revoke(_file(config), name)


def _file(config: Path | None) -> Path:
    from mailingest.config import credential

    path = start(config).web.tokens_file
    if path is None:
        raise UsageError("web-token: web.tokens_file is not set: it says where tokens are kept")
    return credential(path)
