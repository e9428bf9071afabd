"""A daemon that is scraped, with lines of which something became."""

import http.client
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.support.ports import free_port
from tests.support.site import Site

DEFERRED = (
    "Nov 24 15:41:23 mx1 postfix/smtp[914]: 652D1A4A863: to=<bob@example.net>, relay=none,"
    " delay=0.18, delays=0.12/0/0.02/0.04, dsn=4.4.1, status=deferred (connect to"
    " mx.example.net[198.51.100.9]:25: Connection refused)"
)
UNMATCHED = (
    "Nov 24 15:41:23 mx1 postfix/smtpd[914]: nobody has ever seen such a line",
    "Nov 24 15:41:23 mx1 postfix/evil[914]: 652D1A4A863: nobody has ever seen such a line",
)


class Watched:
    """A daemon that is scraped."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self.site = Site(directory, f"[metrics]\nport = {self.port}\n")

    def get(self, path: str, host: str | None = None) -> tuple[int, str]:
        """Status and text of an answer; ``host`` is what the Host header says."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", path, headers={} if host is None else {"Host": host})
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        return response.status, text

    def samples(self) -> dict[tuple[str, tuple[str, ...]], float]:
        """The values by name and values of labels."""
        return {
            (sample.name, tuple(sample.labels.values())): sample.value
            for family in text_string_to_metric_families(self.get("/metrics")[1])
            for sample in family.samples
        }
