"""A file of explanations of replies, such as the shipped ``config/explanations.toml``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mailingest.config.toml_file import read_toml
from mailingest.errors import UsageError


class Words(BaseModel):
    """What replies mean, and what to do: a sentence each."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    means: str = Field(min_length=1, max_length=300)
    advice: str = Field(min_length=1, max_length=300)


class WrittenRule(BaseModel):
    """The rule of a file, as `mailingest.trace.explanations.Rule` means it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str | None = Field(None, pattern=r"^[45x]\.(\d{1,3}|x)\.(\d{1,3}|x)$")
    text: tuple[str, ...] = ()
    relay: tuple[str, ...] = ()
    en: Words
    de: Words | None = None

    @model_validator(mode="after")
    def _asks_for_something(self) -> Self:
        if self.code is None and not any(self.text):
            raise ValueError("needs a code or a text of the replies that it is for")
        return self

    @property
    def words(self) -> dict[str, Words]:
        """The words of each language that there are some in."""
        return {"en": self.en} if self.de is None else {"en": self.en, "de": self.de}


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reply: tuple[WrittenRule, ...] = ()


def read_rules(file: Path) -> Sequence[WrittenRule]:
    """The rules of a file, in their order; raises UsageError, one line for each mistake."""
    _, content = read_toml(file, may_be_missing=False)
    try:
        return _File.model_validate(content).reply
    except ValidationError as error:
        lines = (
            f"{file}: {'.'.join(map(str, one['loc']))}: {one['msg']}"
            for one in error.errors(include_url=False)
        )
        raise UsageError("\n".join(lines)) from None
