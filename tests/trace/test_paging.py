"""Pages joined are the list: no story is missing and none comes twice, also while lines come."""

import asyncio
import gzip
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mailingest.documents import Document
from mailingest.errors import QuestionError, StoreUnavailable
from mailingest.stores.criteria import Criteria, address_term, text_term
from mailingest.stores.gaps import TIMED_OUT
from mailingest.stores.opening import opened
from mailingest.stores.protocol import Found
from mailingest.stores.sqlite.reader import SqliteReader
from mailingest.stores.sqlite.writer import SqliteWriter
from mailingest.trace.cursor import LONGEST_CURSOR, Cursor, Place, read_cursor
from mailingest.trace.engine import trace
from mailingest.trace.paging import Page, Paging, trace_page
from mailingest.trace.story import Story
from tests.support.logs import documents_of, lines_of

_LOG = Path(__file__).parents[1] / "data" / "scenarios" / "mail.log.gz"

QUESTIONS = [
    pytest.param(Criteria(), id="all"),
    pytest.param(Criteria(recipient=address_term("@example.net")), id="domain"),
    pytest.param(Criteria(sender=address_term("sender@example.net")), id="sender"),
    pytest.param(Criteria(verdicts=frozenset({"bounced", "rejected"})), id="verdicts"),
    pytest.param(Criteria(verdicts=frozenset({"pending"})), id="pending"),
    pytest.param(Criteria(text=text_term("status=")), id="text"),
    pytest.param(Criteria(client=text_term("1")), id="client"),
    pytest.param(Criteria(relay=text_term("127")), id="relay"),
    pytest.param(
        Criteria(
            recipient=address_term("example"),
            sender=address_term("sender@example.net"),
            verdicts=frozenset({"bounced", "rejected", "pending"}),
        ),
        id="several",
    ),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> SqliteReader:
    directory = tmp_path_factory.mktemp("store")
    lines = gzip.decompress(_LOG.read_bytes()).splitlines()
    asyncio.run(_write(directory, documents_of(lines)))
    return SqliteReader(directory, "mail")


async def _write(directory: Path, documents: Sequence[Document]) -> None:
    async with opened(SqliteWriter(directory)) as writer:
        await writer.write(documents)


async def _walk(
    store: SqliteReader, criteria: Criteria, limit: int, *, oldest_first: bool = False
) -> list[Page]:
    """All pages, from the first on, by the text of their cursors."""
    pages = [await trace_page(store, criteria, Paging(limit, oldest_first))]
    while (after := pages[-1].after) is not None:
        cursor = read_cursor(after.text())
        pages.append(await trace_page(store, criteria, Paging(limit, oldest_first, cursor)))
    return pages


@pytest.mark.parametrize("oldest_first", [False, True], ids=["newest first", "oldest first"])
@pytest.mark.parametrize("criteria", QUESTIONS)
async def test_pages_joined_are_the_list(
    store: SqliteReader, criteria: Criteria, oldest_first: bool
) -> None:
    whole = await trace(store, criteria, limit=0)
    assert whole.stories
    limit = len(whole.stories) // 3 + 1
    pages = await _walk(store, criteria, limit, oldest_first=oldest_first)
    assert Counter(_told(pages)) == Counter(map(_story, whole.stories))
    assert [len(page.stories) for page in pages[:-1]] == [limit] * (len(pages) - 1)
    assert [page.skipped for page in pages] == list(range(0, limit * len(pages), limit))
    assert pages[-1].total == len(whole.stories)
    assert all(page.searched is None for page in pages)
    back = await _walk_back(store, criteria, limit, pages[-1], oldest_first=oldest_first)
    assert list(map(_told, [[page] for page in back])) == [_told([page]) for page in pages]
    assert [page.skipped for page in back] == [page.skipped for page in pages]


async def _walk_back(
    store: SqliteReader, criteria: Criteria, limit: int, last: Page, *, oldest_first: bool
) -> list[Page]:
    """The pages from the last one back to the first, in the order of the list."""
    pages = [last]
    while (before := pages[0].before) is not None:
        paging = Paging(limit, oldest_first, read_cursor(before.text()))
        pages.insert(0, await trace_page(store, criteria, paging))
    return pages


@st.composite
def _mails(draw: st.DrawFn) -> list[list[str]]:
    """The lines of some mails, of whole seconds, as most logs have them; few seconds apart."""
    return [
        draw(_mail(f"4fXbpG2Zh0z9q{number:02}"))
        for number in range(draw(st.integers(min_value=1, max_value=8)))
    ]


@st.composite
def _mail(draw: st.DrawFn, queue_id: str) -> list[str]:
    at = draw(st.integers(min_value=0, max_value=4))
    names = draw(st.lists(st.sampled_from(["bob", "carla"]), min_size=1, max_size=3))
    tries = draw(st.integers(min_value=0, max_value=3))
    lines = [
        _line(at, f"smtpd[7]: {queue_id}: client=pc.example.com[192.0.2.7]"),
        _line(at, f"qmgr[9]: {queue_id}: from=<ann@example.com>, size=5, nrcpt=2 (queue active)"),
    ]
    for number in range(tries):
        at += draw(st.sampled_from([0, 1, 200_000]))
        for name in names:
            how = draw(st.sampled_from(["dsn=2.0.0, status=sent", "dsn=4.0.0, status=deferred"]))
            lines.append(
                _line(
                    at,
                    f"smtp[10]: {queue_id}: to=<{name}@example.net>, relay=mx[192.0.2.9]:25, "
                    f"delay={number}, delays=0/0/0/{number}, {how} (as it is)",
                )
            )
    return lines


def _line(second: int, text: str) -> str:
    time = datetime(2026, 11, 24, 10, tzinfo=UTC) + timedelta(seconds=second)
    return f"{time:%Y-%m-%dT%H:%M:%S}+00:00 mx1 postfix/{text}"


SMALL = [
    Criteria(),
    Criteria(recipient=address_term("bob@example.net")),
    Criteria(sender=address_term("ann@example.com")),
    Criteria(verdicts=frozenset({"pending"})),
    Criteria(verdicts=frozenset({"delivered", "handed_over"})),
    Criteria(since=datetime(2026, 11, 24, 10, 0, 2, tzinfo=UTC)),
    Criteria(recipient=address_term("@example.net"), since=datetime(2026, 11, 24, 11, tzinfo=UTC)),
]


@settings(max_examples=25)
@given(
    mails=_mails(),
    criteria=st.sampled_from(SMALL),
    limit=st.integers(min_value=1, max_value=4),
    oldest_first=st.booleans(),
)
def test_mails_that_come_in_meanwhile_neither_hide_nor_repeat_others(
    mails: list[list[str]], criteria: Criteria, limit: int, oldest_first: bool
) -> None:
    asyncio.run(_while_lines_come(mails, criteria, limit, oldest_first))


@pytest.mark.parametrize("oldest_first", [False, True], ids=["newest first", "oldest first"])
@pytest.mark.parametrize("criteria", SMALL[:3])
def test_a_mail_that_is_tried_again_meanwhile_stays_where_it_is(
    criteria: Criteria, oldest_first: bool
) -> None:
    def begun(number: int) -> list[str]:
        name = f"4fXbpG2Zh0z9q{number:02}"
        return [
            _line(number, f"smtpd[7]: {name}: client=pc.example.com[192.0.2.7]"),
            _line(number, f"qmgr[9]: {name}: from=<ann@example.com>, size=5, nrcpt=1 (active)"),
            tried(number, number),
        ]

    def tried(number: int, second: int) -> str:
        return _line(
            second,
            f"smtp[10]: 4fXbpG2Zh0z9q{number:02}: to=<bob@example.net>, relay=none, delay={second},"
            f" delays={second}/0/0/0, dsn=4.0.0, status=deferred (later)",
        )

    again = [tried(0 if not oldest_first else number % 2, 500 + number) for number in range(5)]
    mails = [*(begun(number) for number in range(4)), again]
    asyncio.run(_while_lines_come(mails, criteria, 1, oldest_first))


async def _recipients(store: SqliteReader, criteria: Criteria) -> set[tuple[object, ...]]:
    return {_recipient(one) for one in (await trace(store, criteria, limit=0)).stories}


async def _while_lines_come(
    mails: list[list[str]], criteria: Criteria, limit: int, oldest_first: bool
) -> None:
    lines = sorted(line for mail in mails for line in mail)
    # Of what came last, one line after the other comes while the pages are read.
    there, coming = lines[: 2 * len(lines) // 3], lines[2 * len(lines) // 3 :]
    with TemporaryDirectory() as name:
        directory = Path(name)
        await _write(directory, documents_of(line.encode() for line in there))
        store = SqliteReader(directory, "mail")
        always = ever = await _recipients(store, criteria)
        paging = Paging(limit, oldest_first)
        told: list[tuple[object, ...]] = []
        while True:
            page = await trace_page(store, criteria, paging)
            told += map(_recipient, page.stories)
            if coming:
                there.append(coming.pop(0))
                await _write(directory, documents_of(line.encode() for line in there))
                answers = await _recipients(store, criteria)
                always, ever = always & answers, ever | answers
            if page.after is None:
                break
            paging = Paging(limit, oldest_first, read_cursor(page.after.text()))
    assert not [one for one, count in Counter(told).items() if count > 1]
    # What was an answer all the time is on one of the pages.  A mail that is just coming in may be
    # told of as it was for a moment.
    assert always <= set(told) <= ever


def _recipient(story: Story) -> tuple[object, ...]:
    return story.queues[0].key.queue_id, story.recipient


class _Late(SqliteReader):
    """A store whose time is over when it is asked for the lines before the newest ``days``."""

    def __init__(self, directory: Path, error: StoreUnavailable | None = None) -> None:
        super().__init__(directory, "mail")
        self.is_late = True
        self._error = error

    async def find(self, criteria: Criteria, limit: int) -> Found:
        if self.is_late and criteria.until is not None and criteria.until < _SECOND_DAY:
            if self._error is not None:
                raise self._error
            return Found([], is_cut=True, gaps=[TIMED_OUT])
        return await super().find(criteria, limit)


_SECOND_DAY = datetime(2026, 11, 25, 12, tzinfo=UTC)
_TWO_DAYS = """
24T10:00:00 mx1 postfix/smtpd: AAAAAA1: client=pc.example.com[192.0.2.7]
24T10:00:00 mx1 postfix/qmgr: AAAAAA1: from=<ann@example.com>, size=5, nrcpt=1 (queue active)
26T10:00:00 mx1 postfix/smtpd: AAAAAA2: client=pc.example.com[192.0.2.7]
26T10:00:00 mx1 postfix/qmgr: AAAAAA2: from=<ann@example.com>, size=5, nrcpt=1 (queue active)
"""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        pytest.param(None, "timed_out", id="the time is over"),
        pytest.param(StoreUnavailable("it went away"), "store_unavailable", id="it went away"),
    ],
)
async def test_a_search_that_was_broken_off_goes_on_where_it_ended(
    tmp_path: Path, error: StoreUnavailable | None, code: str
) -> None:
    await _write(tmp_path, documents_of(lines_of(_TWO_DAYS)))
    store = _Late(tmp_path, error)
    criteria = Criteria(sender=address_term("ann@example.com"))
    page = await trace_page(store, criteria, Paging(5))
    assert [story.queues[0].key.queue_id for story in page.stories] == ["AAAAAA2"]
    assert [gap.code for gap in page.result.why] == [code]
    assert page.total is None
    assert page.searched is not None
    assert page.searched < _SECOND_DAY
    assert page.after is not None
    store.is_late = False
    rest = await trace_page(store, criteria, Paging(5, cursor=page.after))
    assert [story.queues[0].key.queue_id for story in rest.stories] == ["AAAAAA1"]
    assert rest.result.is_whole
    assert (rest.skipped, rest.total, rest.after) == (1, 2, None)


@pytest.mark.parametrize("oldest_first", [False, True])
async def test_a_moment_with_more_lines_than_can_be_read_is_told(
    tmp_path: Path, oldest_first: bool
) -> None:
    many = [
        f"25T10:00:00 mx1 postfix/smtpd[{number}]: BBBBB{number:03}: client=a.example[192.0.2.7]"
        for number in range(30)
    ]
    await _write(tmp_path, documents_of(lines_of(_TWO_DAYS + "\n".join(many))))
    store = SqliteReader(tmp_path, "mail")
    paging = Paging(50, oldest_first)
    page = await trace_page(store, Criteria(), paging, most_events=20)
    names = {story.queues[0].key.queue_id for story in page.stories}
    assert names > {"AAAAAA1", "AAAAAA2"}
    assert [gap.code for gap in page.result.why] == ["too_many_lines"]
    assert page.total is None
    whole = await trace_page(store, Criteria(), paging)
    assert (whole.total, whole.result.is_whole) == (32, True)


async def test_one_mail_is_a_list_of_its_recipients(store: SqliteReader) -> None:
    [first] = (await trace(store, Criteria(), limit=1)).stories
    criteria = Criteria(queue_id=first.queues[0].key.queue_id)
    whole = await trace(store, criteria, limit=0)
    pages = await _walk(store, criteria, 1)
    assert Counter(_told(pages)) == Counter(map(_story, whole.stories))


async def test_nothing_stored_is_an_empty_page(tmp_path: Path) -> None:
    page = await trace_page(SqliteReader(tmp_path, "mail"), Criteria(), Paging(5))
    assert (list(page.stories), page.before, page.after) == ([], None, None)


async def test_a_cursor_of_another_question_is_refused(store: SqliteReader) -> None:
    page = await trace_page(store, Criteria(), Paging(1))
    assert page.after is not None
    with pytest.raises(QuestionError, match="another question"):
        await trace_page(store, Criteria(queue_id="AAAAAA1"), Paging(1, cursor=page.after))


def _cursors() -> st.SearchStrategy[Cursor]:
    times = st.datetimes(timezones=st.just(UTC))
    texts = st.text(st.characters(codec="utf-8"), max_size=40)
    rest = st.builds(
        lambda words, numbers: (*words, *numbers),
        st.tuples(texts, texts, texts),
        st.lists(st.integers(min_value=-1, max_value=2**31), min_size=1, max_size=5),
    )
    places = st.builds(Place, times, st.just(()) | rest)
    maybe = st.none() | times
    count = st.integers(min_value=0, max_value=2**40)
    return st.builds(Cursor, places, st.booleans(), texts, times, maybe, maybe, count)


@given(_cursors())
def test_a_cursor_is_a_text_for_links(cursor: Cursor) -> None:
    text = cursor.text()
    assert text.isascii()
    assert quote(text, safe="") == text
    if len(text) <= LONGEST_CURSOR:
        assert read_cursor(text) == cursor


@given(st.text() | st.binary().map(lambda data: urlsafe_b64encode(data).decode()))
@example(urlsafe_b64encode(b"[" * 600).decode())
@example(urlsafe_b64encode(b'[1,["2026-11-24T10:00:00"],true,"all",1,2,3,4]').decode())
@example(
    urlsafe_b64encode(
        b'[1,["2026-11-24T10:00:00Z","a",1,1,1],true,"all","2026-11-24T10:00:00Z",null,null,0]'
    ).decode()
)
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(QuestionError, match="not a cursor"):
        read_cursor(text)


def _told(pages: Sequence[Page]) -> list[tuple[object, ...]]:
    return [_story(story) for page in pages for story in page.stories]


def _story(story: Story) -> tuple[object, ...]:
    chain = tuple(queue.key for queue in story.queues)
    line = story.refusal.event["_id"] if story.refusal is not None else ""
    return chain, line, story.recipient, story.original_recipient, story.received_at, story.verdict
