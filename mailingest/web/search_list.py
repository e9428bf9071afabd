"""A page of found mails -> what the template of the search shows: rows, numbers and links; pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mailingest.stores.criteria import Criteria
from mailingest.trace.cursor import Cursor
from mailingest.trace.paging import Page
from mailingest.web.numbers import number
from mailingest.web.questions import ORDERS, QUICK_SPANS
from mailingest.web.story_view import StoryView
from mailingest.web.texts import Texts


@dataclass(frozen=True, slots=True)
class SearchList:
    """The list for one question.

    ``form`` is what was asked, ``page_text`` the cursor of the page.
    """

    texts: Texts
    view: StoryView
    form: Mapping[str, str]
    page_text: str

    def values(self, page: Page, criteria: Criteria) -> dict[str, Any]:
        """What the template fills in."""
        rows = [self.view.row(story) for story in page.stories]
        return {
            "rows": rows,
            "has_subjects": any(row["subject"] for row in rows),
            "count": self._count(page),
            "searched": self._searched(page, criteria),
            "cut": self._cut(page),
            "on_link": self._page(page.after) if page.searched is not None else "",
            "before_link": self._page(page.before),
            "after_link": self._page(page.after) if page.searched is None else "",
            "first_link": self._link() if self.page_text else "",
            "orders": [(one, self._link(order=one)) for one in ORDERS],
            "order": self.form["order"] or ORDERS[0],
            "spans": [(one, self._link(**_only(span=one))) for one in (*QUICK_SPANS, "")],
            "live_link": self.view.links.to("live", self.form),
            "csv_link": self.view.links.to("search.csv", self.form),
            "jsonl_link": self.view.links.to("search.jsonl", self.form),
        }

    def _count(self, page: Page) -> str:
        count = len(page.stories)
        if not count:
            return ""
        first, last = number(page.skipped + 1), number(page.skipped + count)
        if page.total is None:
            more = "range_so_far" if page.searched is not None else "range_of_more"
            return self.texts(more, first=first, last=last)
        if page.total == count:
            return self.texts("found", count=number(count))
        return self.texts("range_of", first=first, last=last, total=number(page.total))

    def _searched(self, page: Page, criteria: Criteria) -> str:
        """The time that was searched, as far as it was."""
        span = page.result.span
        if span is None:
            return ""
        since, until = criteria.since or span.first, criteria.until
        if page.searched is not None:
            since, until = (since, page.searched) if self._is_oldest else (page.searched, until)
        shown = self.view.time(until) if until else self.texts("now")
        return self.texts("searched", since=self.view.time(since), until=shown)

    @property
    def _is_oldest(self) -> bool:
        return self.form["order"] == "oldest"

    def _cut(self, page: Page) -> str:
        """That not all of the time was searched, and how far."""
        if page.searched is None:
            return ""
        key = "searched_up_to" if self._is_oldest else "searched_back_to"
        return self.texts(key, time=self.view.time(page.searched))

    def _page(self, cursor: Cursor | None) -> str:
        return self._link(page=cursor.text()) if cursor is not None else ""

    def _link(self, **more: str) -> str:
        return self.view.links.to("", {**self.form, **more})


def _only(*, span: str) -> dict[str, str]:
    """What asks for one of the quick spans, and no other time."""
    return {"span": span, **dict.fromkeys(("since", "since_at", "until", "until_at"), "")}
