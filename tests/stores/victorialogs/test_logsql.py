"""No text of a log or of a question is anything but a text in a query: tried on the real server."""

import asyncio
from collections.abc import Callable
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailingest.documents import Document
from mailingest.stores.criteria import Criteria, Term
from mailingest.stores.opening import opened
from mailingest.stores.victorialogs import logsql
from mailingest.stores.victorialogs.connection import Connection
from mailingest.stores.victorialogs.reader import VictoriaLogsReader
from mailingest.stores.victorialogs.rows import ID, TYPE
from mailingest.stores.victorialogs.writer import VictoriaLogsWriter
from tests.support.documents import document
from tests.support.servers.victorialogs import VictoriaLogsServer
from tests.support.victorialogs import make_visible

pytestmark = pytest.mark.servers

# What LogsQL, a regular expression or a string of Go would take for something else.
SPECIAL = st.sampled_from(
    [
        *('"', "\\", "`", "'", "|", "*", "{", "}", "(", ")", "[", "]", ":", "=", "!", "~", "#"),
        *("\x00", "\n", "\r", "\t", "\x7f", "\x85", "\u2028", "\ufeff", "\ufffd", "\U0001f4e7"),
        *('" or *:"', '") or (*', "' or ''='", "$", "^", ".", "+", "?", "\\x41", "\\u0041", "\\Q"),
        *("ß", "İ", "ſ", "K", "Ω", "é", "A", "z", "0", " ", "@", "_", "-", "%", ",", ";", "<", ">"),
    ]
)
TEXT = st.lists(SPECIAL | st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).map(
    "".join
)

Find = Callable[[Connection, str], "asyncio.Future[set[str]]"]


async def found(connection: Connection, of_type: str, query: str) -> set[str]:
    """The ids of lines that meet a filter."""
    rows = await connection.table(f"{of_type} {query} | fields {ID}")
    return {row[ID] for row in rows}


@given(texts=st.lists(TEXT, min_size=2, max_size=6, unique=True))
@settings(max_examples=25)
def test_every_filter_finds_what_it_says_of_any_text(
    victorialogs_server: VictoriaLogsServer, texts: list[str]
) -> None:
    """Each text is asked for as a whole and in parts, and the filter is held to Python's."""
    name = f"mail-{uuid4().hex[:8]}"

    async def check() -> None:
        connection = Connection(victorialogs_server.url)
        try:
            async with opened(VictoriaLogsWriter(connection)) as writer:
                # An own connection is closed with the writer; this one is asked on.
                documents = [
                    document(number, prefix=name, postfix_from=text, message=text)
                    for number, text in enumerate(texts)
                ]
                assert (await writer.write(documents)).stored == len(documents)
                await make_visible(connection)
                await compare(connection, name, documents, texts)
        finally:
            await connection.close()

    asyncio.run(check())


async def compare(
    connection: Connection, name: str, documents: list[Document], texts: list[str]
) -> None:
    of_type = logsql.equals(TYPE, name)
    for text in texts:
        part = text[: len(text) // 2] or text
        end = text[len(text) // 2 :]
        for query, meets in (
            (logsql.equals("postfix_from", text), lambda value, text=text: value == text),
            (logsql.among("postfix_from", [text, "no"]), lambda value, text=text: value == text),
            (
                logsql.starts("postfix_from", part),
                lambda value, part=part: value.startswith(part),
            ),
            (logsql.contains("postfix_from", end), lambda value, end=end: end in value),
            (logsql.ends("postfix_from", end), lambda value, end=end: value.endswith(end)),
        ):
            expected = {one.id for one, value in zip(documents, texts, strict=True) if meets(value)}
            answer = await found(connection, of_type, query)
            # Beside a character that is unknown, the server cannot tell; the reader does.
            is_sure = "\ufffd" not in text
            assert answer == expected or (not is_sure and answer > expected), ascii((query, texts))
    reader = VictoriaLogsReader(connection, [name])
    for text in texts:
        for comparison in ("equals", "starts", "ends", "contains"):
            term = Term(text.lower(), comparison)
            events = (await reader.find(Criteria(sender=term), 100)).events
            expected = {
                one.id for one, value in zip(documents, texts, strict=True) if term.matches(value)
            }
            assert {event["_id"] for event in events} == expected, ascii((term, texts))


@given(text=TEXT)
@settings(max_examples=300)
def test_a_quoted_text_ends_where_it_should(text: str) -> None:
    """Read as Go reads it: a string without a quote or a line end that is not escaped."""
    quoted = logsql.quoted(text)
    assert quoted[0] == quoted[-1] == '"'
    inside = quoted[1:-1].replace("\\\\", "").replace('\\"', "")
    assert '"' not in inside
    assert not any(character < " " for character in inside)
