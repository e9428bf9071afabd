"""Grok patterns: what loads, what is refused and how, and that all the haste changes no match."""

import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailingest.errors import UsageError
from mailingest.grok.definitions import Definition, parse_definitions
from mailingest.grok.library import Library
from mailingest.grok.matcher import Matcher, Value
from mailingest.postfix.programs import PROGRAMS
from tests.support.plain_grok import PlainGrok

PATTERNS = Path(__file__).parents[2] / "patterns"
QUEUE_ID = "POSTFIX_QUEUEID [0-9A-F]{6,}\n"


def library(text: str, **options: object) -> Library:
    options.setdefault("converters", {})
    return Library(parse_definitions("own.grok", text), **options)  # type: ignore[arg-type]


def compiled(text: str, expression: str = "%{X}", **options: object) -> Matcher:
    (matcher,) = library(text, **options).compile([expression])
    return matcher


def captured(matcher: Matcher, text: str) -> dict[str, Value] | None:
    fields: dict[str, Value] = {}
    return None if matcher.match(text, fields) is None else fields


def test_a_file_of_patterns() -> None:
    text = "# comment\n\nONE a b\r\n  TWO\t\t%{ONE:one} #no comment \n"

    assert list(parse_definitions("own.grok", text)) == [
        Definition("ONE", "a b", "own.grok", 3),
        Definition("TWO", "%{ONE:one} #no comment", "own.grok", 4),
    ]


@pytest.mark.parametrize(
    ("pattern", "text", "fields"),
    [
        pytest.param(r"a(?<x>\d)b", "a1b", {"x": "1"}, id="a named group as Oniguruma has it"),
        pytest.param(r"a(?P<x>\d)b", "a1b", {"x": "1"}, id="a named group as Python has it"),
        pytest.param(r"%{INT:x} %{WORD:y}", "7 a", {"x": "7", "y": "a"}, id="predefined patterns"),
        pytest.param(r"(\d)(?:(\d))", "12", {}, id="plain groups capture nothing"),
        pytest.param(r"a(?<x>1)|b(?<x>2)", "b2", {"x": "2"}, id="a name used twice"),
        pytest.param(r"(?<x>1)?(?<x>2)?", "1", {"x": "1"}, id="a name used twice, one unused"),
        pytest.param(r"(?<x>1)?(?<x>2)?", "12", {"x": "2"}, id="a name used twice: the last"),
        pytest.param(r"(?<x-y>1)(?<@z>2)", "12", {"x-y": "1", "@z": "2"}, id="no identifiers"),
        pytest.param(r"%{INT:[x][y]}", "1", {"x.y": "1"}, id="a field in a field"),
        pytest.param(r"(?<[@x][y-z]>1)", "1", {"@x.y-z": "1"}, id="a field in a field of a group"),
        pytest.param(r"%{INT:[x][y]:int}", "1", {"x.y": 1}, id="a typed field in a field"),
        pytest.param(
            r"%{INT:[x]}-%{WORD:a.b}", "1-a", {"x": "1", "a.b": "a"}, id="brackets, a dot"
        ),
        pytest.param(r"a++(?>b|bc)d", "aabd", {}, id="possessive and atomic"),
        pytest.param(r"(?<=a)b|a(?!c)(?<x>.)", "ab", {"x": "b"}, id="looking around"),
        pytest.param(r"\(?<(?<x>\w)>\)?", "(<a>)", {"x": "a"}, id="`(?<` that opens no group"),
        pytest.param(r"[(?<x>](?<y>.)", "<a", {"y": "a"}, id="`(?<` inside a class"),
        pytest.param(r"[]|(]\|(?<y>[^]|]*)", "|||a", None, id="brackets and bars, no match"),
        pytest.param(r"[]|(]\|(?<y>[^]|]*)", "]|a", {"y": "a"}, id="brackets and bars in classes"),
        pytest.param(r"\%\{INT}", "%{INT}", {}, id="an escaped reference is none"),
        pytest.param(r"(?i)abc|(?<x>d)", "D", {"x": "D"}, id="flags hold for all alternatives"),
        pytest.param(r"a.c", "a\nc", {}, id="a dot is any character"),
        pytest.param(r"^a$", "a", {}, id="anchors are not needed, but do no harm"),
        pytest.param(r"a", "ba", None, id="nothing may come before"),
        pytest.param(r"a", "ab", None, id="nothing may come after"),
        pytest.param(r"a", "a\n", None, id="not even a line feed"),
        pytest.param(r"é(?<x>.)", "éa", {"x": "a"}, id="a first character beyond ASCII"),
        pytest.param(r"a?", "", {}, id="an empty text"),
        pytest.param(r"a", "", None, id="an empty text that does not match"),
        pytest.param(r"%{INT:x:int}|%{NUMBER:x:float}", "-7", {"x": -7}, id="grok's own int"),
        pytest.param(r"%{NUMBER:x:float}", "1.5", {"x": 1.5}, id="grok's own float"),
        pytest.param(r"%{INT:x:string}", "7", {"x": "7"}, id="grok's own string"),
    ],
)
def test_what_loads_and_matches(pattern: str, text: str, fields: dict[str, Value] | None) -> None:
    assert captured(compiled(f"X {pattern}\n"), text) == fields


@pytest.mark.parametrize(
    ("text", "unfit"),
    [
        pytest.param("9" * 30, ["x=" + "9" * 30], id="an integer that no store takes"),
        pytest.param("1e999", ["x=1e999"], id="a float that is infinite"),
        pytest.param("nan", ["x=nan"], id="no number"),
    ],
)
@pytest.mark.parametrize("grok_type", ["int", "float"])
def test_a_value_that_does_not_fit_is_reported_and_not_captured(
    text: str, unfit: Sequence[str], grok_type: str
) -> None:
    matcher = compiled(f"X (?<y>)%{{NOTSPACE:x:{grok_type}}}\n")
    fields: dict[str, Value] = {}
    unfit_values = matcher.match(text, fields)

    if grok_type == "float" and text.isdigit():
        assert (unfit_values, fields) == ((), {"y": "", "x": 1e30})
    else:
        assert unfit_values is not None
        assert (list(unfit_values), fields) == (unfit, {"y": ""})


def test_a_declared_converter_is_stronger_than_a_type_in_the_pattern() -> None:
    matcher = compiled("X %{INT:x:int}\n", converters={"x": lambda text: f"<{text}>"})

    assert captured(matcher, "7") == {"x": "<7>"}


def test_omitted_fields_are_matched_but_not_captured() -> None:
    matcher = compiled("X (?<x>a(?<y>b))\n", omitted=["x"])

    assert captured(matcher, "ab") == {"y": "b"}


def test_a_later_definition_replaces_an_earlier_one_and_a_predefined_one() -> None:
    text = "X %{Y:y}%{INT:x}\nY a\nY b\nINT [a-z]\n"

    assert captured(compiled(text), "bc") == {"y": "b", "x": "c"}


def test_fields_of_predefined_patterns_are_captured_as_well() -> None:
    matcher = compiled("X %{SYSLOGPROG}\n", declared=["program", "pid"])

    assert captured(matcher, "qmgr[318]") == {"program": "qmgr", "pid": "318"}


def test_what_is_not_used_may_have_any_field() -> None:
    matcher = compiled("X (?<x>a)\nY (?<y>a)\n", declared=["x"])

    assert captured(matcher, "a") == {"x": "a"}


def test_a_failed_match_leaves_no_fields_behind() -> None:
    matcher = compiled(f"{QUEUE_ID}X %{{POSTFIX_QUEUEID:postfix_queueid}}: (?<x>a)\n")
    fields: dict[str, Value] = {}

    assert matcher.match("ABCDEF: b", fields) is None
    assert fields == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            "X a\nno-name a\n",
            "own.grok:2: a line must be a NAME, a blank and a pattern",
            id="a line that is no pattern",
        ),
        pytest.param(
            "X a\nLONELY\n",
            "own.grok:2: a line must be a NAME, a blank and a pattern",
            id="a name without pattern",
        ),
        pytest.param(
            "X a\x00b\n",
            "own.grok:1: a line must be a NAME, a blank and a pattern",
            id="binary rubbish",
        ),
        pytest.param(
            "\ufeffX a\n",
            "own.grok:1: a line must be a NAME, a blank and a pattern",
            id="a byte order mark",
        ),
        pytest.param(
            "X %{Y}\nY %{NONE:x}\n",
            "own.grok:2: pattern Y: there is no pattern NONE: define it or correct it",
            id="an undefined name",
        ),
        pytest.param(
            "X a|%{Y}\nY b%{Z}\nZ c%{Y:y}\n",
            "own.grok:3: pattern Z: %{Y} contains itself: break the cycle",
            id="a circle",
        ),
        pytest.param(
            "X %{X}\n",
            "own.grok:1: pattern X: %{X} contains itself: break the cycle",
            id="a pattern that is itself",
        ),
        pytest.param(
            "X %{NUMBER}\nBASE10NUM %{NUMBER}\n",
            "own.grok:2: pattern BASE10NUM: %{NUMBER} contains itself: break the cycle",
            id="a circle through a predefined pattern",
        ),
        pytest.param(
            "X a\n\nY (b\n",
            "own.grok:3: pattern Y: missing )",
            id="an unclosed parenthesis",
        ),
        pytest.param(
            "X a\nY %{X})\n",
            "own.grok:2: pattern Y: unbalanced parenthesis",
            id="a parenthesis too many",
        ),
        pytest.param(
            "X (?<x>a)\\k<x>\n",
            r"own.grok:1: pattern X: back references (\k<x>) are not supported: write the text out",
            id="a back reference by name",
        ),
        pytest.param(
            "X %{Y}\nY (a)\\1\n",
            r"own.grok:2: pattern Y: back references (\1) are not supported: write the text out",
            id="a back reference by number",
        ),
        pytest.param(
            "X (?<x y>a)\n",
            "own.grok:1: pattern X: 'x y' is not a valid field name: "
            "use letters, digits, - and _, or ",
            id="a bad field name in a group",
        ),
        pytest.param(
            "X %{INT:a[b]}\n",
            "own.grok:1: pattern X: 'a[b]' is not a valid field name: "
            "use letters, digits, - and _, or ",
            id="a bad field name in a reference",
        ),
        pytest.param(
            "X %{INT:x:int:y}\n",
            "own.grok:1: pattern X: a reference must be %{NAME} or %{NAME:field}",
            id="a reference with too many parts",
        ),
        pytest.param(
            "X %{INT\n",
            "own.grok:1: pattern X: a reference must be %{NAME} or %{NAME:field}",
            id="a reference without end",
        ),
        pytest.param(
            "X a\nY \\p{L}\n",
            "own.grok:2: pattern Y: \\p{L} is not supported: ",
            id="syntax without an equivalent in `re`",
        ),
        pytest.param(
            "X %{Y}\nY (?<=a|bc)d\n",
            "own.grok:2: pattern Y: look-behind requires fixed-width pattern: give all its "
            "alternatives the same length",
            id="a look-behind of several lengths",
        ),
        pytest.param("X a{99999999999}\n", "own.grok:1: pattern X: ", id="too many times"),
        pytest.param("X a|*\n", "own.grok:1: pattern X: nothing to repeat: w", id="just a star"),
    ],
)
def test_what_is_refused_names_file_line_and_pattern(text: str, message: str) -> None:
    with pytest.raises(UsageError) as refused:
        library(text, declared=["x", "y"]).compile(["%{X}", "%{Y}"][: 1 + ("\nY " in text)])

    assert str(refused.value).startswith(message)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        pytest.param("%{Z}", "pattern %{Z}: there is no pattern Z", id="an undefined name"),
        pytest.param("(a", "pattern (a: missing )", id="an unclosed parenthesis"),
        pytest.param(r"\G", r"pattern \G: \G is not supported", id="untranslatable syntax"),
    ],
)
def test_a_wrong_expression_is_refused(expression: str, message: str) -> None:
    with pytest.raises(UsageError) as refused:
        library("X a\n").compile([expression])

    assert str(refused.value).startswith(message)


@pytest.mark.parametrize(
    ("expression", "text", "captured"),
    [
        pytest.param("%{X}", "-a-", {"x": "a"}, id="anywhere in the text"),
        pytest.param("^%{X}$", "-a-", None, id="anchored"),
        pytest.param("^%{X}$", "b\na\nc", {"x": "a"}, id="anchors are the ends of a line"),
        pytest.param(r"\A%{X}", "b\na", None, id="anchored at the text"),
        pytest.param("%{X}", "7", {"n": "7"}, id="texts stay texts"),
        pytest.param("(?<y-z>b)|%{X}", "ca", {"x": "a"}, id="alternatives"),
    ],
)
def test_an_expression_is_looked_for_as_logstash_does(
    expression: str, text: str, captured: dict[str, str] | None
) -> None:
    search = library("X (?<x>a)|%{INT:n:int}\n").compile_search(expression)

    assert search.search(text) == captured


@pytest.mark.parametrize("expression", ["%{Z}", "(a"])
def test_a_wrong_expression_is_not_looked_for(expression: str) -> None:
    with pytest.raises(UsageError):
        library("X a\n").compile_search(expression)


def test_each_alternative_comes_once_behind_what_it_refers_to() -> None:
    parts = library("X a|%{Y}|b%{Z}\nY c(?:d|e)|f\nZ g\n").alternatives()

    assert [(definition.name, pattern.pattern) for definition, pattern in parts] == [
        *(("Y", "c(?:d|e)"), ("Y", "f"), ("Z", "g"), ("X", "a"), ("X", "b(?:g)")),
    ]


def test_references_are_direct_and_indirect() -> None:
    known = library("X a%{Y}\nY b%{Z}\nZ c\n")

    assert [set(known.references(name)) for name in "XYZ"] == [{"Y", "Z"}, {"Z"}, set()]


def test_alternatives_that_are_not_used_are_compiled_as_well() -> None:
    unused = library("X a\nY (b\n")

    assert captured(unused.compile(["%{X}"])[0], "a") == {}
    with pytest.raises(UsageError, match=r"^own\.grok:2: pattern Y: missing \)"):
        list(unused.alternatives())


SHIPPED = [
    definition
    for path in sorted(PATTERNS.glob("postfix*.grok"))
    for definition in parse_definitions(path.name, path.read_text("utf-8"))
]
EXPRESSIONS = [f"%{{{name}}}" for name in dict.fromkeys(PROGRAMS.values())]
FAST = dict(zip(EXPRESSIONS, Library(SHIPPED, {}).compile(EXPRESSIONS), strict=True))
SLOW = {
    expression: PlainGrok({one.name: one.pattern for one in SHIPPED}, expression)
    for expression in EXPRESSIONS
}
PIECES = [
    *("4F2A11E0ABC: ", "NOQUEUE: ", "4DnpgZ4fYLzKq1w: ", "FACADE ", "warning: ", "error: "),
    *("to=<a@b.example>, ", 'to=<"x>, y"@b.example>, ', "orig_to=<r>, ", "relay=none, "),
    *("relay=mx_1.example[2001:db8::1]:25, ", "relay=h[private/lmtp], ", "conn_use=2, "),
    *("delay=1.5, delays=0.1/0/1/0.4, ", "tls=dane?, ", "dsn=2.0.0, ", "status=sent"),
    *(" (250 queued as 4F2A11E0ABC)", " (a (b", "client=h.example[192.0.2.5]", "from=<a@b>"),
    *(", size=1, nrcpt=2 (queue active)", ", status=expired, returned to sender", "removed"),
    *("message-id=<a@b>", "uid=0 ", "reject: RCPT from h[192.0.2.5]: 550 5.1.1 <b>: no"),
    *("; from=<a> to=<b> proto=ESMTP helo=<h>", "; ", ": ", "milter-reject: END-OF-MESSAGE "),
    *("connect from h[192.0.2.5]:99", "disconnect from h[unknown]", " ehlo=1", " mail=0/1", " x=1"),
    *(
        "lost connection after DATA",
        " (12 bytes)",
        " from h[192.0.2.5]",
        "host h[192.0.2.5] said: ",
    ),
    *(" (in reply to DATA command)", ", sasl_username=u", ", sasl_sender=s", "header Subject: x"),
    *("Anonymous TLS connection established from h[192.0.2.5]: TLSv1.3 with cipher C ",),
    *("(256/256 bits)", " key-exchange X (P-256)", "placed on hold", "table x has changed"),
]


@given(
    pieces=st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=7),
    expression=st.sampled_from(EXPRESSIONS),
)
@example(
    [
        *("4F2A11E0ABC: ", "to=<a@b.example>, ", "relay=none, ", "delay=1.5, delays=0.1/0/1/0.4, "),
        *("dsn=2.0.0, ", "status=sent", " (a (b"),
    ],
    "%{POSTFIX_LOCAL}",
)
@example(
    ["NOQUEUE: ", "reject: RCPT from h[192.0.2.5]: 550 5.1.1 <b>: no", PIECES[27]],
    "%{POSTFIX_SMTPD}",
)
def test_the_shipped_patterns_find_the_same_as_one_big_regular_expression(
    pieces: list[str], expression: str
) -> None:
    text = "".join(pieces)

    assert captured(FAST[expression], text) == SLOW[expression].match(text)


@st.composite
def alternatives(draw: st.DrawFn) -> str:
    """A few alternatives, with and without a queue ID in front, some in a pattern of their own."""
    parts = ["a", "[ab]+", "(?<x>a|b)", "(?<y>.)", "b?", "(?:a|ab)", "[^a]", "é", ".*", "(?=b)"]
    head = st.sampled_from(["", "%{POSTFIX_QUEUEID:postfix_queueid}: "])
    alternative = st.builds(
        str.__add__, head, st.lists(st.sampled_from(parts), min_size=1).map("".join)
    )
    nested = st.sampled_from(["%{NESTED}", "%{NESTED:z}", "(?:%{NESTED}|b)"])
    return "|".join(draw(st.lists(alternative | nested, min_size=1, max_size=4)))


@given(
    pattern=alternatives(), nested=alternatives(), text=st.text("abé", max_size=4), id=st.booleans()
)
def test_any_alternatives_find_the_same_as_one_big_regular_expression(
    pattern: str, nested: str, text: str, id: bool
) -> None:
    nested = nested.replace("%{NESTED", "%{POSTFIX_QUEUEID")
    definitions = {"POSTFIX_QUEUEID": "[0-9A-F]{6,}", "NESTED": nested, "X": pattern}
    fast = compiled("".join(f"{name} {text}\n" for name, text in definitions.items()))
    text = "ABCDEF: " + text if id else text

    assert captured(fast, text) == PlainGrok(definitions, "%{X}").match(text)


def test_all_fields_that_are_not_declared_are_refused_at_once_as_lines_that_declare_them() -> None:
    text = """X %{IP:[client][ip]} %{NUMBER:load} %{POSINT:n} %{WORD:y} %{WORD:word:float}
Y (?<group>a)%{X}
UNUSED %{INT:unused}
"""
    with pytest.raises(UsageError) as refused:
        library(text, declared=["y"]).compile(["%{X}", "%{Y}"])

    head, block = str(refused.value).split("\n", 1)
    assert head == (
        "own.grok:1: pattern X: there is no field client.ip, and none of 4 further names: declare "
        "its type (keyword, text, integer, float, ip) in the configuration:"
    )
    assert tomllib.loads(block) == {
        "grok": {
            "fields": {
                "client.ip": "ip",
                "load": "float",
                "n": "integer",
                "word": "float",
                "group": "keyword",
            }
        }
    }
    assert '\ngroup = "keyword"  # own.grok:2: pattern Y' in block
