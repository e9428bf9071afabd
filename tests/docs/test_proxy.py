"""docs/page.md: behind nginx as it is shown there, users of the proxy may ask, and nobody else."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, blocks_of
from tests.docs.sandbox import Sandbox

PAGE = blocks_of(ROOT / "docs" / "page.md")
[NGINX] = [block.text for block in PAGE if block.language == "nginx"]
[PROXY] = [
    block.text for block in PAGE if "\nproxies = " in block.text and block.language == "toml"
]
LOG = Path(__file__).with_name("mail.log").read_text("utf-8")
FETCH = (
    "curl --silent --insecure --resolve trace.example.net:443:127.0.0.1 --write-out '%{http_code}'"
)
QUESTION = "'https://trace.example.net/search.json?to=bob@example.com'"


@pytest.fixture(scope="module")
def site() -> Iterator[Sandbox]:
    with Sandbox() as one:
        one.write("/var/log/mail.log", LOG.replace("{day}", f"{datetime.now(UTC):%Y-%m-%d}"))
        one.write("/etc/mailingest/mailingest.toml", PROXY)
        # As root: nginx has no rights to give up, and its own files are thrown away with the rest.
        settings = f"user root;\nerror_log stderr notice;\nevents {{}}\nhttp {{\n{NGINX}}}\n"
        one.write("/etc/nginx/nginx.conf", settings)
        for command in (
            "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=trace.example.net"
            " -keyout /etc/ssl/private/trace.example.net.key"
            " -out /etc/ssl/certs/trace.example.net.pem",
            "printf 'ann:%s\\n' \"$(openssl passwd -6 s3cret)\" > /etc/nginx/mailingest-users",
            "mailingest replay /var/log/mail.log",
        ):
            done = one.run(command)
            assert done.code == 0, done
        one.start("mailingest web", until="trace page is served")
        one.start("nginx -g 'daemon off;'", until="start worker process")
        yield one


@pytest.mark.lab
def test_a_user_of_the_proxy_may_ask_under_the_own_name_only(site: Sandbox) -> None:
    done = site.run(f"{FETCH} --user ann:s3cret --header 'X-Remote-User: eve' {QUESTION}")
    body, status = done.out[:-3], done.out[-3:]
    assert status == "200", done
    assert [mail["recipient"] for mail in json.loads(body)["mails"]] == ["bob@example.com"] * 2
    asked = [row for row in site.log_of("mailingest web") if row["event"] == "question"]
    assert [(row["user"], row["path"], row["query"]) for row in asked] == [
        ("ann", "/search.json", {"to": "bob@example.com"})
    ]


@pytest.mark.lab
@pytest.mark.parametrize("login", ["", "--user ann:wrong", "--header 'X-Remote-User: ann'"])
def test_nobody_else_may(site: Sandbox, login: str) -> None:
    done = site.run(f"{FETCH} {login} {QUESTION}")
    assert done.out.endswith("401"), done
