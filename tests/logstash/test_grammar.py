"""Logstash's grammar: what is read, what is refused and where, and that printing loses nothing."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailingest.errors import UsageError
from mailingest.logstash.grammar import MAX_DEPTH, parse_pipeline
from mailingest.logstash.printing import print_condition, print_pipeline, print_value
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
    Plugin,
    Regexp,
    Section,
    Selector,
    Statement,
    Text,
    Value,
    plugins,
)

PIPELINES = Path(__file__).parents[1] / "data" / "logstash-pipelines"
FILES = sorted(PIPELINES.glob("*/conf.d/*.conf"))


def statements(text: str) -> tuple[Statement, ...]:
    return parse_pipeline("a.conf", f"filter {{ {text} }}").sections[0].body


def value(text: str) -> Value:
    (plugin,) = plugins(statements(f"x {{ y => {text} }}"))
    return plugin.attributes[0].value


def condition(text: str) -> Condition:
    (branch,) = statements(f"if {text} {{ }}")
    assert isinstance(branch, Branch)
    found = branch.arms[0].condition
    assert found is not None
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parts[-3]}/{path.name}")
def test_a_real_file_is_read_and_printed_without_loss(path: Path) -> None:
    tree = parse_pipeline(path.name, path.read_text("utf-8"))

    assert parse_pipeline("printed", print_pipeline(tree)) == tree


def test_all_files_are_there() -> None:
    assert len(FILES) == 47 + 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r'"a \" b\n"', Text(r"a \" b\n")),
        (r"'it\'s'", Text(r"it\'s", "'")),
        ('"over\nlines # and no comment"', Text("over\nlines # and no comment")),
        ("mail", Bareword("mail")),
        ("true", Bareword("true")),
        ("-5.25", Number("-5.25")),
        ("[]", Array(())),
        ("[ 'a' , b2, [1] ]", Array((Text("a", "'"), Bareword("b2"), Array((Number("1"),))))),
        ("{ }", Hash(())),
        (
            '{ "a" => 1\n b => [x1] # why\n 3 => { } }',
            Hash(
                (
                    (Text("a"), Number("1")),
                    (Bareword("b"), Array((Bareword("x1"),))),
                    (Number("3"), Hash(())),
                )
            ),
        ),
        ('{ a1 => 1, "b" => 2 }', Hash(((Bareword("a1"), Number("1")), (Text("b"), Number("2"))))),
        ("json { }", Plugin("json", ())),
        (
            'plain { charset => "ISO-8859-1" }',
            Plugin("plain", (Attribute("charset", Text("ISO-8859-1")),)),
        ),
    ],
)
def test_values(text: str, expected: Value) -> None:
    assert value(text) == expected


PROGRAM = Selector(("program",))
TAGS = Selector(("tags",))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[program]", Exists(PROGRAM)),
        ("![a][b]", Not(Exists(Selector(("a", "b"))))),
        ("!([program])", Not(Exists(PROGRAM))),
        (r"[program] =~ /^a\/b$/", Comparison(PROGRAM, "=~", Regexp(r"^a\/b$"))),
        ('[program] =~ "a"', Comparison(PROGRAM, "=~", Text("a"))),
        ("[program] !~ /a/", Comparison(PROGRAM, "!~", Regexp("a"))),
        ("[n] >= 5", Comparison(Selector(("n",)), ">=", Number("5"))),
        ("'x' in [tags]", Comparison(Text("x", "'"), "in", TAGS)),
        ("'x' not  in [tags]", Comparison(Text("x", "'"), "not in", TAGS)),
        ('[program] in ["x"]', Comparison(PROGRAM, "in", Array((Text("x"),)))),
        (
            '[program] in ["x", "y"]',
            Comparison(PROGRAM, "in", Array((Text("x"), Text("y")))),
        ),
        (
            "[program]and([tags]or![a]) xor [b] # why\n nand [c]",
            Chain(
                (
                    Exists(PROGRAM),
                    Chain((Exists(TAGS), Not(Exists(Selector(("a",))))), ("or",)),
                    Exists(Selector(("b",))),
                    Exists(Selector(("c",))),
                ),
                ("and", "xor", "nand"),
            ),
        ),
        ("has([tags], 1)", Exists(Call("has", (TAGS, Number("1"))))),
    ],
)
def test_conditions(text: str, expected: Condition) -> None:
    assert condition(text) == expected


def test_places_comments_and_options_given_twice() -> None:
    text = """# first
input { udp { # why
    port => 5000 # here
    # and now
    port => 5001 } }
filter{if[a]{drop{}}else if[b]{}else{mutate{}}}
output
{ }# no line feed"""
    tree = parse_pipeline("a.conf", text)

    (udp,) = plugins(tree.sections[0].body)
    assert str(udp.place) == "a.conf:2:9"
    assert [(one.place.line, one.place.column) for one in udp.attributes] == [(3, 5), (5, 5)]
    assert [section.kind for section in tree.sections] == ["input", "filter", "output"]
    branch = tree.sections[1].body[0]
    assert isinstance(branch, Branch)
    assert [str(arm.place)[7:] for arm in branch.arms] == ["6:8", "6:21", "6:33"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("inptu { }", "1:1: expected `input`, `filter` or `output`, but found 'inptu'"),
        ("input udp", "1:7: expected `{`, but found 'udp'"),
        ("input {\n udp {\n", "3:1: expected an option, or `}` for the `{` of line 2, but the"),
        ("input {\n", "2:1: expected `}` for the `{` of line 1, but the file ends"),
        ("input { } }", "1:11: expected `input`, `filter` or `output`, but found '}'"),
        ("input { udp }", "1:13: expected `{` after udp, but found '}'"),
        ("input { udp { port } }", "1:20: expected `=>` after port, but found '}'"),
        ("input { udp { port = 5 } }", "1:20: expected `=>` after port, but found '='"),
        ("input { udp { port => } }", "1:23: expected a value: a string, a number, a word,"),
        ("input { udp { t => m } }", "1:20: expected quotes around a word of one letter"),
        ("input { udp { t => a-b } }", "1:20: expected quotes around a word of one letter, or"),
        ("input { udp { t => [1 2] } }", "1:23: expected `,` or `]`, but found '2'"),
        ("input { udp { t => [1,] } }", "1:23: expected a value: a string, a number, a word,"),
        ("input { udp { t => { 1 2 } } }", "1:24: expected `=>` after a key, but found '2'"),
        ("input { udp { t => { ? } } }", "1:22: expected a key, or `}` for the `{` of line 1"),
        ('input { udp {\n t => "a } }', '2:7: expected a second " for the one that begins here'),
        ("filter { if { } }", "1:13: expected a field such as [program], a string, a number"),
        ("filter { if program { } }", "1:21: expected `(` after program, or quotes around it"),
        ("filter { if [a] not [b] { } }", "1:21: expected `in` after `not`, but found '['"),
        ("filter { if ([a] { } }", "1:18: expected `)`, or `and` or `or`, but found '{'"),
        ("filter { if !a { } }", "1:14: expected a field such as [program], or `(`, after `!`"),
        ("filter { if [a] =~ /a { } }", "1:20: expected a second / for the one that begins"),
        ("filter { if [a { } }", "1:13: expected the name of a field in brackets"),
        ("filter { ? }", "1:10: expected a plugin, `if` or `}`, but found '?'"),
    ],
)
def test_what_is_no_pipeline_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_pipeline("a.conf", text)

    assert str(refused.value).startswith(f"a.conf:{message}")


@pytest.mark.parametrize(
    ("head", "repeated"),
    [
        ("", "if [a] {"),
        ("x { y => ", "["),
        ("x { y => ", "{ a1 => "),
        ("x { y => ", "json { z => "),
        ("if ", "("),
        ("if ", "!("),
        ("if ", "f("),
    ],
)
def test_nesting_is_bounded(head: str, repeated: str) -> None:
    deep = head + repeated * 5000
    with pytest.raises(UsageError, match=f"more than {MAX_DEPTH} brackets within brackets"):
        statements(deep)


def test_what_is_nested_as_deep_as_may_be_is_read() -> None:
    deep = MAX_DEPTH - 2
    assert value("[" * deep + "]" * deep)


# --- Any tree at all ---

WORDS = st.from_regex(r"[a-z_][a-z0-9_]{1,5}", fullmatch=True).filter(
    lambda word: word not in ("if", "else", "in", "not", "and", "or", "xor", "nand")
)
PLAIN = st.text(st.characters(codec="utf-8", exclude_characters="\\'\"/"), max_size=8)
ESCAPES = st.sampled_from([r"\n", r"\"", r"\'", r"\/", r"\d"])
RAW = st.lists(PLAIN | ESCAPES, max_size=3).map("".join)
TEXTS = st.builds(Text, RAW, st.sampled_from(["'", '"']))
NUMBERS = st.builds(Number, st.from_regex(r"-?[0-9]{1,4}(\.[0-9]{0,3})?", fullmatch=True))
SELECTORS = st.builds(
    Selector,
    st.lists(st.from_regex(r"[@a-z][a-z0-9 .@-]{0,5}", fullmatch=True), min_size=1, max_size=3).map(
        tuple
    ),
)
NAMES = st.from_regex(r"[a-z][a-z0-9-]{1,5}", fullmatch=True).filter(
    lambda name: name not in ("if", "else")
)
VALUES: st.SearchStrategy[Value] = st.recursive(
    TEXTS | NUMBERS | st.builds(Bareword, WORDS),
    lambda inner: (
        st.builds(Array, st.lists(inner, max_size=3).map(tuple))
        | st.builds(
            Hash,
            st.lists(
                st.tuples(TEXTS | NUMBERS | st.builds(Bareword, WORDS), inner), max_size=3
            ).map(tuple),
        )
        | st.builds(
            Plugin,
            NAMES,
            st.lists(st.builds(Attribute, NAMES, inner), max_size=2).map(tuple),
        )
    ),
    max_leaves=6,
)
OPERANDS: st.SearchStrategy[Operand] = st.recursive(
    TEXTS | NUMBERS | SELECTORS | st.builds(Regexp, RAW),
    lambda inner: (
        # A list of one that is no string is a field's name, to Logstash.
        st.builds(Array, st.lists(TEXTS | NUMBERS, min_size=2, max_size=3).map(tuple))
        | st.builds(Call, WORDS, st.lists(inner, max_size=2).map(tuple))
    ),
    max_leaves=4,
)
OPERATORS = st.sampled_from(["==", "!=", "<", ">", "<=", ">=", "=~", "!~", "in", "not in"])
CONDITIONS: st.SearchStrategy[Condition] = st.recursive(
    st.builds(Exists, OPERANDS) | st.builds(Comparison, OPERANDS, OPERATORS, OPERANDS),
    lambda inner: (
        st.builds(Not, inner)
        | st.lists(inner, min_size=2, max_size=3).flatmap(
            lambda terms: st.builds(
                Chain,
                st.just(tuple(terms)),
                st.lists(
                    st.sampled_from(["and", "or", "xor", "nand"]),
                    min_size=len(terms) - 1,
                    max_size=len(terms) - 1,
                ).map(tuple),
            )
        )
    ),
    max_leaves=5,
)
PLUGINS = st.builds(
    Plugin, NAMES, st.lists(st.builds(Attribute, NAMES, VALUES), max_size=2).map(tuple)
)


def arms(body: st.SearchStrategy[tuple[Statement, ...]]) -> st.SearchStrategy[tuple[Arm, ...]]:
    last = st.just(()) | st.builds(lambda inner: (Arm(None, inner),), body)
    several = st.lists(st.builds(Arm, CONDITIONS, body), min_size=1, max_size=2).map(tuple)
    return st.builds(lambda some, end: (*some, *end), several, last)


BODIES: st.SearchStrategy[tuple[Statement, ...]] = st.recursive(
    st.lists(PLUGINS, max_size=2).map(tuple),
    lambda inner: st.lists(PLUGINS | st.builds(Branch, arms(inner)), max_size=2).map(tuple),
    max_leaves=4,
)
TREES = st.builds(
    Pipeline,
    st.lists(
        st.builds(Section, st.sampled_from(["input", "filter", "output"]), BODIES), max_size=2
    ).map(tuple),
)


@given(TREES)
@settings(max_examples=40)
def test_what_is_printed_is_parsed_to_the_same_tree(tree: Pipeline) -> None:
    text = print_pipeline(tree)

    assert parse_pipeline("printed", text) == tree


@given(CONDITIONS, VALUES)
@settings(max_examples=40)
def test_conditions_and_values_are_printed_without_loss(found: Condition, one: Value) -> None:
    assert condition(print_condition(found)) == found
    assert value(print_value(one)) == one


@given(st.text(st.sampled_from("input{}[]()\"'/#=>!~, \nab1-")))
def test_whatever_is_typed_is_read_or_refused_with_a_place(text: str) -> None:
    try:
        parse_pipeline("a.conf", text)
    except UsageError as error:
        file, line, column, *_ = str(error).split(":")
        assert (file, int(line) > 0, int(column) > 0) == ("a.conf", True, True)
