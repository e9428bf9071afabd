"""The trace page over HTTP: read-only, works without scripts, JSON beside each page."""

from collections.abc import Mapping
from datetime import tzinfo

from aiohttp import web

from mailingest.httpd.connections import Connections
from mailingest.stores.protocol import CountingReader
from mailingest.trace.engine import Backlog
from mailingest.trace.explanations import Explanations
from mailingest.web.access import Access, AccessControl
from mailingest.web.answers import Answers
from mailingest.web.api.endpoints import Api, document
from mailingest.web.live_page import LivePage
from mailingest.web.mail_page import MailPage
from mailingest.web.overview_page import OverviewPage
from mailingest.web.pages import Pages
from mailingest.web.search_export import SearchExport
from mailingest.web.search_page import SearchPage
from mailingest.web.static_files import ROUTE, static_file
from mailingest.web.turns import Turns


def application(
    store: CountingReader,
    access: Access,
    zone: tzinfo,
    backlog: Backlog | None = None,
    connections: Connections | None = None,
    by_type: Mapping[str, CountingReader] | None = None,
    explanations: Explanations | None = None,
) -> web.Application:
    """The pages over one store; times are shown in ``zone``.

    ``by_type`` has readers of the same store that give only events of one type.
    ``explanations`` are those of replies; None explains none.
    """
    pages = Pages()
    seconds = access.question_seconds
    turns = Turns(seconds)
    words = explanations if explanations is not None else Explanations(())
    answers = Answers(store, zone, access.is_masked, seconds, turns, words, backlog, by_type or {})
    # The style sheet, the scripts and the description of the API say nothing of any mail.
    control = AccessControl(access, pages.refusal, public={static_file, document})
    middlewares = [control.middleware]
    if connections is not None:
        middlewares.insert(0, connections.middleware)
    app = web.Application(middlewares=middlewares, client_max_size=16 * 1024)
    search, mail, overview = (page(answers, pages) for page in (SearchPage, MailPage, OverviewPage))
    app.router.add_get("/", search.html)
    app.router.add_get("/search.json", search.json)
    export = SearchExport(answers)
    app.router.add_get("/search.csv", export.csv)
    app.router.add_get("/search.jsonl", export.json_lines)
    app.router.add_get("/mail", mail.html)
    app.router.add_get("/mail.json", mail.json)
    live = LivePage(answers, pages)
    app.on_shutdown.append(live.stop)
    app.router.add_get("/live", live.html)
    app.router.add_get("/live/events", live.events)
    app.router.add_get("/overview", overview.html)
    app.router.add_get("/overview.json", overview.json)
    app.router.add_routes(Api(answers).routes())
    app.router.add_get(ROUTE, static_file)
    return app
