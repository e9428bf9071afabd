"""A syntax tree -> text that is parsed to the same tree."""

from collections.abc import Iterable, Iterator

from mailingest.logstash.tree import (
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
    Plugin,
    Regexp,
    Selector,
    Statement,
    Text,
    Value,
)

_INDENT = "  "


def print_pipeline(pipeline: Pipeline) -> str:
    """The text of a pipeline, without the comments that it may have had."""
    lines: list[str] = []
    for section in pipeline.sections:
        lines += [f"{section.kind} {{", *_indented(_statements(section.body)), "}"]
    return "".join(f"{line}\n" for line in lines)


def print_condition(condition: Condition) -> str:
    """A condition on one line."""
    match condition:
        case Chain():
            words = [_term(condition.terms[0])]
            for operator, term in zip(condition.operators, condition.terms[1:], strict=True):
                words += [operator, _term(term)]
            return " ".join(words)
        case Not(Exists(operand)) if isinstance(operand, Selector):
            return f"!{print_value(operand)}"
        case Not():
            return f"!({print_condition(condition.condition)})"
        case Comparison():
            return (
                f"{print_value(condition.left)} {condition.operator} {print_value(condition.right)}"
            )
        case Exists():
            return print_value(condition.operand)


def print_value(value: Value | Operand) -> str:
    """A value or an operand on one line, but for the strings in it that have several."""
    match value:
        case Text():
            return f"{value.quote}{value.raw}{value.quote}"
        case Bareword():
            return value.word
        case Number():
            return value.digits
        case Regexp():
            return f"/{value.raw}/"
        case Selector():
            return "".join(f"[{part}]" for part in value.parts)
        case Call():
            return f"{value.method}({', '.join(map(print_value, value.arguments))})"
        case Array():
            return f"[ {', '.join(map(print_value, value.items))} ]"
        case Hash():
            entries = (f"{print_value(key)} => {print_value(one)}" for key, one in value.entries)
            return f"{{ {' '.join(entries)} }}"
        case Plugin():
            return " ".join([_name(value.name), "{", *map(_attribute, value.attributes), "}"])


def _term(condition: Condition) -> str:
    text = print_condition(condition)
    return f"({text})" if isinstance(condition, Chain) else text


def _statements(body: Iterable[Statement]) -> Iterator[str]:
    for statement in body:
        if isinstance(statement, Branch):
            for number, arm in enumerate(statement.arms):
                condition = "" if arm.condition is None else f"if {print_condition(arm.condition)} "
                yield f"{'else ' if number else ''}{condition}{{"
                yield from _indented(_statements(arm.body))
                yield "}"
        else:
            yield f"{_name(statement.name)} {{"
            yield from _indented(map(_attribute, statement.attributes))
            yield "}"


def _attribute(attribute: Attribute) -> str:
    return f"{_name(attribute.name)} => {print_value(attribute.value)}"


def _name(name: str) -> str:
    if name.isascii() and name.replace("-", "_").isidentifier() and name != "if":
        return name
    # In the quotes that it had, those in it are behind a backslash.
    quote = '"' if '"' not in name.replace('\\"', "") else "'"
    return f"{quote}{name}{quote}"


def _indented(lines: Iterable[str]) -> Iterator[str]:
    return (_INDENT + line for line in lines)
