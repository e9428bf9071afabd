"""Names under which the pages may be asked for, however they are written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailingest.config import Settings
from mailingest.config.host_names import host_name
from mailingest.errors import UsageError
from mailingest.httpd.hosts import asked_name, served_names
from mailingest.web.access import Access
from mailingest.web.server import access_of


@pytest.mark.parametrize(
    ("authority", "name"),
    [
        pytest.param("localhost", "localhost", id="a name"),
        pytest.param("LocalHost:8025", "localhost", id="upper case, a port"),
        pytest.param("localhost:", "localhost", id="an empty port"),
        pytest.param("trace.example.net.", "trace.example.net", id="a dot at the end"),
        pytest.param("trace.example.net.:443", "trace.example.net", id="a dot, and a port"),
        pytest.param("trace.example.net..", None, id="two dots at the end"),
        pytest.param(".localhost", None, id="a dot at the beginning"),
        pytest.param("mail_1", "mail_1", id="an underscore"),
        pytest.param("127.0.0.1:80", "127.0.0.1", id="IPv4"),
        pytest.param("127.0.0.1.", "127.0.0.1", id="IPv4 with a dot at the end"),
        pytest.param("127.1", None, id="IPv4, short"),
        pytest.param("0x7f.0.0.1", None, id="IPv4 in parts of other bases"),
        pytest.param("2130706433", None, id="IPv4 as one number"),
        pytest.param("example.0x7f", None, id="a name that ends in a number"),
        pytest.param("[::1]:8025", "::1", id="IPv6"),
        pytest.param("[0:0:0:0:0:0:0:1]", "::1", id="IPv6, in full"),
        pytest.param("[2001:DB8::A]", "2001:db8::a", id="IPv6 in upper case"),
        pytest.param("[::ffff:127.0.0.1]", "127.0.0.1", id="IPv4 within IPv6"),
        pytest.param("::1", None, id="IPv6 without brackets"),
        pytest.param("[fe80::1%25eth0]", None, id="IPv6 with a zone"),
        pytest.param("[v1.x]", None, id="an address of the future"),
        pytest.param("[::1", None, id="one bracket"),
        pytest.param("[localhost]", None, id="a name in brackets"),
        pytest.param("localhost:80:80", None, id="two ports"),
        pytest.param("localhost:http", None, id="a port that is none"),
        pytest.param("evil.example@localhost", None, id="a user"),
        pytest.param("localhost, evil.example", None, id="a list"),
        pytest.param("localhost evil.example", None, id="two words"),
        pytest.param(" localhost", None, id="a space"),
        pytest.param("localhost\n", None, id="a line end"),
        pytest.param("localhost/", None, id="a path"),
        pytest.param("", None, id="nothing"),
        pytest.param(":80", None, id="no name"),
        pytest.param("löcalhost", None, id="not ASCII"),
        pytest.param("\u212aelvin.example", None, id="a letter that is lower in ASCII"),
        pytest.param("a" * 300, None, id="too long"),
    ],
)
def test_a_host_is_written_in_one_way(authority: str, name: str | None) -> None:
    assert host_name(authority) == name


@given(st.text())
def test_any_text_is_a_host_in_its_one_form_or_none(text: str) -> None:
    name = host_name(text)
    assert name is None or host_name(f"[{name}]" if ":" in name else name) == name


@pytest.mark.parametrize(
    ("listening", "configured", "names"),
    [
        ("127.0.0.1", (), set()),
        ("127.0.0.2", (), {"127.0.0.2"}),
        ("localhost", (), set()),
        ("::1", (), set()),
        ("0.0.0.0", (), set()),
        ("::", (), set()),
        ("2001:DB8::1", ("trace.example.net",), {"2001:db8::1", "trace.example.net"}),
        ("mx1.example.net", (), {"mx1.example.net"}),
    ],
)
def test_names_of_this_machine_are_served(
    listening: str, configured: tuple[str, ...], names: set[str]
) -> None:
    assert served_names(listening, configured) == {"localhost", "127.0.0.1", "::1"} | names


@pytest.mark.parametrize(
    ("headers", "target", "name"),
    [
        (["localhost:80"], None, "localhost"),
        ([], None, None),
        (["localhost", "localhost"], None, None),
        (["localhost"], "LOCALHOST.:80", "localhost"),
        (["localhost"], "evil.example", None),
        (["evil.example"], "localhost", None),
        (["localhost"], "", None),
        (["evil.example:0"], "x@evil.example", None),
    ],
)
def test_a_request_is_for_one_name(
    headers: list[str], target: str | None, name: str | None
) -> None:
    assert asked_name(headers, target) == name


def test_configured_names_are_served_however_they_are_written() -> None:
    names = [
        "Trace.Example.Net.",
        "[2001:db8::1]",
        "2001:DB8::2",
        "192.0.2.1",
        "xn--bcher-kva.example",
    ]
    access = access_of(Settings.model_validate({"web": {"server_names": names}}))
    assert access.names - Access().names == {
        "trace.example.net",
        "2001:db8::1",
        "2001:db8::2",
        "192.0.2.1",
        "xn--bcher-kva.example",
    }


@pytest.mark.parametrize(
    "name", ["https://trace.example.net", "trace.example.net:443", "[::1]:80", "a b", "*", ""]
)
def test_a_configured_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises((ValueError, UsageError), match=r"server_names[\s\S]*a name or an address"):
        Settings.model_validate({"web": {"server_names": [name]}})
