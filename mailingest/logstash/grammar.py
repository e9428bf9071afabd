"""Text of a Logstash pipeline -> its syntax tree, or an error with its place.

The grammar is that of Logstash's ``grammar.treetop``; where it is ambiguous, the same alternative
goes first.  It has no tokens of its own (`/` begins a regular expression here, and is nothing
there), so the parser asks the characters for what may stand at a place.
"""

from bisect import bisect_right
from collections.abc import Callable
from string import ascii_letters, digits
from typing import Final, TypeVar

from mailingest.errors import UsageError
from mailingest.logstash.tree import (
    Arm,
    Array,
    Attribute,
    Bareword,
    Branch,
    Call,
    Chain,
    Comparison,
    Condition,
    Exists,
    Hash,
    Not,
    Number,
    Operand,
    Pipeline,
    Place,
    Plugin,
    Regexp,
    Section,
    Selector,
    Statement,
    Text,
    Value,
)

MAX_DEPTH: Final = 60
"""Brackets within brackets; real pipelines have some ten."""

_BLANKS: Final = " \t\r\n"
_WORD_BEGIN: Final = ascii_letters + "_"
_WORD: Final = _WORD_BEGIN + digits
_NAME: Final = _WORD + "-"
_SECTIONS: Final = ("input", "filter", "output")
# Longer ones first.
_COMPARISONS: Final = ("==", "!=", "<=", ">=", "=~", "!~", "<", ">")
_BOOLEANS: Final = ("and", "or", "xor", "nand")
_T = TypeVar("_T")


def parse_pipeline(file: str, text: str) -> Pipeline:
    """The tree of a file; raises UsageError with file:line:column and what was expected."""
    return _Parser(file, text).pipeline()


class _Parser:
    """A cursor in a text, and a method for each rule of the grammar."""

    def __init__(self, file: str, text: str) -> None:
        self._file = file
        self._text = text
        self._at = 0
        self._depth = 0
        self._line_starts = [0, *(at + 1 for at, c in enumerate(text) if c == "\n")]

    def pipeline(self) -> Pipeline:
        sections = []
        self._skip()
        while self._at < len(self._text):
            sections.append(self._section())
            self._skip()
        return Pipeline(tuple(sections))

    # --- Sections, plugins, branches ---

    def _section(self) -> Section:
        place = self._place()
        kind = self._word_here(_NAME)
        if kind not in _SECTIONS:
            raise self._expected("`input`, `filter` or `output`")
        self._at += len(kind)
        self._skip()
        return Section(kind, self._body(), place=place)

    def _body(self) -> tuple[Statement, ...]:
        opened = self._place()
        self._take("{", "`{`")

        def statements() -> tuple[Statement, ...]:
            found: list[Statement] = []
            self._skip()
            while not self._taken("}"):
                if self._at >= len(self._text):
                    raise self._expected(f"`}}` for the `{{` of line {opened.line}")
                found.append(self._statement())
                self._skip()
            return tuple(found)

        return self._nested(statements)

    def _statement(self) -> Statement:
        if self._is_word("if"):
            return self._branch()
        return self._plugin("a plugin, `if` or `}`")

    def _plugin(self, expected: str) -> Plugin:
        place = self._place()
        name = self._name(expected)
        self._skip()
        self._take("{", f"`{{` after {name}")

        def attributes() -> tuple[Attribute, ...]:
            found: list[Attribute] = []
            self._skip()
            while not self._taken("}"):
                found.append(self._attribute(place))
                self._skip()
            return tuple(found)

        return Plugin(name, self._nested(attributes), place=place)

    def _attribute(self, plugin: Place) -> Attribute:
        place = self._place()
        name = self._name(f"an option, or `}}` for the `{{` of line {plugin.line}")
        self._skip()
        self._take("=>", f"`=>` after {name}")
        self._skip()
        return Attribute(name, self._value(), place=place)

    def _branch(self) -> Branch:
        place = self._place()
        arms = [self._arm(place)]
        while True:
            end = self._at
            self._skip()
            arm = self._place()
            if not self._is_word("else"):
                self._at = end
                return Branch(tuple(arms), place=place)
            self._at += len("else")
            self._skip()
            if self._is_word("if"):
                arms.append(self._arm(arm))
            else:
                arms.append(Arm(None, self._body(), place=arm))
                return Branch(tuple(arms), place=place)

    def _arm(self, place: Place) -> Arm:
        self._at += len("if")
        self._skip()
        condition = self._condition()
        self._skip()
        return Arm(condition, self._body(), place=place)

    # --- Conditions ---

    def _condition(self) -> Condition:
        place = self._place()
        terms = [self._expression()]
        operators = []
        while True:
            end = self._at
            self._skip()
            operator = next((word for word in _BOOLEANS if self._is_word(word)), None)
            if operator is None:
                self._at = end
                break
            self._at += len(operator)
            operators.append(operator)
            self._skip()
            terms.append(self._expression())
        return Chain(tuple(terms), tuple(operators), place=place) if operators else terms[0]

    def _expression(self) -> Condition:
        place = self._place()
        if self._taken("("):
            return self._in_parentheses()
        if self._is_at("!") and not self._is_at("!~") and not self._is_at("!="):
            self._at += 1
            self._skip()
            if self._taken("("):
                return Not(self._in_parentheses(), place=place)
            if not self._is_at("["):
                raise self._expected("a field such as [program], or `(`, after `!`")
            return Not(Exists(self._selector(), place=self._place()), place=place)
        left = self._operand()
        end = self._at
        self._skip()
        operator = self._operator()
        if operator is None:
            self._at = end
            return Exists(left, place=place)
        self._skip()
        return Comparison(left, operator, self._operand(), place=place)

    def _in_parentheses(self) -> Condition:
        def inside() -> Condition:
            self._skip()
            condition = self._condition()
            self._skip()
            self._take(")", "`)`, or `and` or `or`")
            return condition

        return self._nested(inside)

    def _operator(self) -> str | None:
        for operator in _COMPARISONS:
            if self._taken(operator):
                return operator
        if self._is_word("in"):
            self._at += len("in")
            return "in"
        if self._is_word("not"):
            self._at += len("not")
            self._skip()
            if not self._is_word("in"):
                raise self._expected("`in` after `not`")
            self._at += len("in")
            return "not in"
        return None

    def _operand(self) -> Operand:
        place = self._place()
        begin = self._text[self._at : self._at + 1]
        if begin in ("'", '"') and begin:
            return self._string()
        if begin == "/":
            return Regexp(self._quoted("/"), place=place)
        if begin == "[":
            return self._selector() if self._is_selector() else self._array(self._operand)
        if begin and begin in _WORD_BEGIN:
            return self._call()
        return self._number("a field such as [program], a string, a number, a list or /regexp/")

    def _is_selector(self) -> bool:
        """A list has a comma, or begins with a quote; Logstash looks for the comma alone."""
        end = self._text.find("]", self._at)
        if end < 0:
            return True  # which says best what is missing
        inner = self._text[self._at + 1 : end]
        return "," not in inner and inner.lstrip(_BLANKS)[:1] not in ("'", '"', "")

    def _selector(self) -> Selector:
        place = self._place()
        parts = []
        while self._is_at("["):
            end = self._text.find("]", self._at)
            part = self._text[self._at + 1 : end] if end > 0 else ""
            if not part or "," in part or "\n" in part:
                raise self._expected("the name of a field in brackets, such as [program]")
            parts.append(part)
            self._at = end + 1
        return Selector(tuple(parts), place=place)

    def _call(self) -> Call:
        place = self._place()
        method = self._word_here(_WORD)
        self._at += len(method)
        self._skip()
        self._take("(", f"`(` after {method}, or quotes around it")
        return Call(method, self._nested(lambda: self._list(self._operand, ")")), place=place)

    # --- Values ---

    def _value(self) -> Value:
        place = self._place()
        begin = self._text[self._at : self._at + 1]
        if begin in ("'", '"') and begin:
            # A plugin's name may be in quotes as well.
            return self._plugin_or(self._string())
        if begin == "[":
            return self._array(self._value)
        if begin == "{":
            return self._hash()
        if begin and begin in _WORD_BEGIN:
            word = self._word_here(_NAME)
            self._at += len(word)
            return self._plugin_or(Bareword(word, place=place))
        return self._number("a value: a string, a number, a word, `[` or `{`")

    def _plugin_or(self, name: Text | Bareword) -> Value:
        end = self._at
        self._skip()
        if self._is_at("{"):
            return self._rest_of_plugin(name)
        self._at = end
        if isinstance(name, Bareword) and (len(name.word) < 2 or "-" in name.word):
            self._at -= len(name.word)
            raise self._expected("quotes around a word of one letter, or with a hyphen")
        return name

    def _rest_of_plugin(self, name: Text | Bareword) -> Plugin:
        self._at = self._offset(name.place)
        return self._plugin("a codec")

    def _array(self, item: Callable[[], _T]) -> Array:
        place = self._place()
        self._at += 1
        items = self._nested(lambda: self._list(item, "]"))
        return Array(items, place=place)  # type: ignore[arg-type]

    def _list(self, item: Callable[[], _T], end: str) -> tuple[_T, ...]:
        found: list[_T] = []
        self._skip()
        if self._taken(end):
            return ()
        while True:
            found.append(item())
            self._skip()
            if self._taken(end):
                return tuple(found)
            self._take(",", f"`,` or `{end}`")
            self._skip()

    def _hash(self) -> Hash:
        place = self._place()
        self._at += 1

        def entries() -> tuple[tuple[Text | Bareword | Number, Value], ...]:
            found = []
            self._skip()
            while not self._taken("}"):
                key = self._key(place)
                self._skip()
                self._take("=>", "`=>` after a key")
                self._skip()
                found.append((key, self._value()))
                self._skip()
                # Logstash takes none, but people are used to them elsewhere.
                if self._taken(","):
                    self._skip()
            return tuple(found)

        return Hash(self._nested(entries), place=place)

    def _key(self, opened: Place) -> Text | Bareword | Number:
        place = self._place()
        begin = self._text[self._at : self._at + 1]
        expected = f"a key, or `}}` for the `{{` of line {opened.line}"
        if begin in ("'", '"') and begin:
            return self._string()
        if begin and begin in _WORD_BEGIN:
            word = self._word_here(_WORD)
            self._at += len(word)
            return Bareword(word, place=place)
        return self._number(expected)

    def _string(self) -> Text:
        place = self._place()
        quote = self._text[self._at]
        return Text(self._quoted(quote), quote, place=place)

    def _quoted(self, quote: str) -> str:
        """What is between two quotes; a quote behind a backslash is no end."""
        begin = self._at + 1
        at = begin
        while (end := self._text.find(quote, at)) >= 0:
            if self._text[end - 1] != "\\":
                self._at = end + 1
                return self._text[begin:end]
            at = end + 1
        raise self._expected(f"a second {quote} for the one that begins here")

    def _number(self, expected: str) -> Number:
        place = self._place()
        at = self._at + self._is_at("-")
        end = self._end_of(digits, at)
        if end == at:
            raise self._expected(expected)
        if self._text[end : end + 1] == ".":
            end = self._end_of(digits, end + 1)
        number = self._text[self._at : end]
        self._at = end
        return Number(number, place=place)

    def _name(self, expected: str) -> str:
        """The name of a plugin or of an option."""
        if self._text[self._at : self._at + 1] in ("'", '"') and self._at < len(self._text):
            return self._string().raw
        word = self._word_here(_NAME)
        if not word:
            raise self._expected(expected)
        self._at += len(word)
        return word

    # --- Characters ---

    def _skip(self) -> None:
        """Go over blanks and comments."""
        while True:
            self._at = self._end_of(_BLANKS, self._at)
            if not self._is_at("#"):
                return
            end = self._text.find("\n", self._at)
            self._at = len(self._text) if end < 0 else end + 1

    def _end_of(self, characters: str, at: int) -> int:
        while at < len(self._text) and self._text[at] in characters:
            at += 1
        return at

    def _word_here(self, characters: str) -> str:
        return self._text[self._at : self._end_of(characters, self._at)]

    def _is_word(self, word: str) -> bool:
        return self._word_here(_NAME) == word

    def _is_at(self, text: str) -> bool:
        return self._text.startswith(text, self._at)

    def _taken(self, text: str) -> bool:
        if found := self._is_at(text):
            self._at += len(text)
        return found

    def _take(self, text: str, expected: str) -> None:
        if not self._taken(text):
            raise self._expected(expected)

    def _nested(self, rule: Callable[[], _T]) -> _T:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise UsageError(f"{self._place()}: more than {MAX_DEPTH} brackets within brackets")
        found = rule()
        self._depth -= 1
        return found

    def _place(self) -> Place:
        line = bisect_right(self._line_starts, self._at)
        return Place(self._file, line, self._at - self._line_starts[line - 1] + 1)

    def _offset(self, place: Place) -> int:
        return self._line_starts[place.line - 1] + place.column - 1

    def _expected(self, expected: str) -> UsageError:
        end = self._at + 1
        if self._word_here(_NAME):
            end = self._end_of(_NAME, self._at)
        found = self._text[self._at : min(end, self._at + 30)]
        what = f"found {found!r}" if found else "the file ends"
        return UsageError(f"{self._place()}: expected {expected}, but {what}")
