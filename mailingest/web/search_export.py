"""All that a search finds as a file, written while it is found: CSV, and JSON Lines."""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from io import StringIO

from aiohttp import web

from mailingest.logs.logger import log
from mailingest.stores.gaps import Gap
from mailingest.stores.threads import in_thread
from mailingest.trace.engine import TraceResult
from mailingest.trace.exporting import json_line, json_of_nothing, write_csv, write_csv_note
from mailingest.trace.story import Story
from mailingest.web.access import HEADERS
from mailingest.web.answers import Answers
from mailingest.web.gaps import for_reader
from mailingest.web.pages import UNANSWERED, json_error, json_language
from mailingest.web.questions import form_values, read_question, reader_zone
from mailingest.web.texts import Texts

_Write = Callable[[Sequence[Story]], bytes]


class SearchExport:
    """The files of a search."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    async def csv(self, request: web.Request) -> web.StreamResponse:
        """Comma-separated values, with the columns of `mailingest trace --csv`.

        If something is missing, the last row says so in its note.
        """

        def head() -> bytes:
            out = StringIO()
            write_csv([], out)
            return out.getvalue().encode()

        def rows(stories: Sequence[Story]) -> bytes:
            out = StringIO()
            write_csv(stories, out, with_names=False, to_json=self._answers.to_json)
            return out.getvalue().encode()

        def end(why: Sequence[Gap]) -> bytes:
            out = StringIO()
            for gap in why:
                write_csv_note(Texts("en")("not_all", why=gap.text), out)
            return out.getvalue().encode()

        return await self._file(request, "mails.csv", "text/csv", head(), rows, end)

    async def json_lines(self, request: web.Request) -> web.StreamResponse:
        """One JSON object a line, as `mailingest trace --json` writes them.

        If something is missing, the last line says so, and has no verdict.
        """
        to_json = self._answers.explaining(json_language(request))

        def rows(stories: Sequence[Story]) -> bytes:
            lines = (json_line(story, to_json=to_json) for story in stories)
            return b"".join(lines)

        def end(why: Sequence[Gap]) -> bytes:
            return json_of_nothing(why) if why else b""

        return await self._file(request, "mails.jsonl", "application/jsonl", b"", rows, end)

    async def _file(
        self,
        request: web.Request,
        name: str,
        content_type: str,
        head: bytes,
        rows: _Write,
        end: Callable[[Sequence[Gap]], bytes],
    ) -> web.StreamResponse:
        try:
            form = form_values(request.query)
            zone = reader_zone(form["tz"], self._answers.zone)
            criteria = read_question(form, now=datetime.now(UTC), zone=zone)
            results = self._answers.every(request, criteria, only=form["type"])
            # What cannot be asked at all is an error, and no file.
            first = await anext(results)
        except UNANSWERED as error:
            return json_error(error)
        response = web.StreamResponse(headers=HEADERS)
        response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
        response.content_type = content_type
        response.charset = "utf-8"
        await response.prepare(request)
        try:
            await response.write(head)
            last = await self._write(request, response, first, results, rows)
            if last is not None:
                await response.write(end(for_reader(last.why, Texts("en"))))
                await response.write_eof()
        except ConnectionError:
            log.info("a file was not taken to its end", path=request.path)
        except Exception:
            log.exception("fault of mailingest itself", path=request.path)
            # A file that ends too early must not look like a whole one.
            if request.transport is not None:
                request.transport.abort()
        finally:
            await results.aclose()
        return response

    async def _write(
        self,
        request: web.Request,
        response: web.StreamResponse,
        first: TraceResult,
        results: AsyncIterator[TraceResult],
        rows: _Write,
    ) -> TraceResult | None:
        """Write all results; the last one, None if nobody takes them any more."""
        result = first
        while True:
            if result.stories:
                await response.write(await in_thread(partial(rows, result.stories)))
            if request.transport is None or request.transport.is_closing():
                return None
            following = await anext(results, None)
            if following is None:
                return result
            result = following
