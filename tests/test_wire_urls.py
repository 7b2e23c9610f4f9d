"""The address of an engine: what it may be, and what of it is shown."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iii_trio._values.refs import StreamChannelRef
from iii_trio._wire.urls import DEFAULT_URL, EngineUrl, channel_url, parse_url
from iii_trio.errors import ConfigurationError
from tests._session_values import examples


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        pytest.param(DEFAULT_URL, EngineUrl(False, "127.0.0.1", 49134, "/", ""), id="the default"),
        pytest.param("ws://engine", EngineUrl(False, "engine", 80, "/", ""), id="no port"),
        pytest.param("wss://engine", EngineUrl(True, "engine", 443, "/", ""), id="no port, with TLS"),
        pytest.param("WSS://Engine:1/", EngineUrl(True, "engine", 1, "/", ""), id="case does not count"),
        pytest.param("ws://[::1]:49134", EngineUrl(False, "::1", 49134, "/", ""), id="IPv6"),
        pytest.param("ws://e/a/b?k=v&k=w", EngineUrl(False, "e", 80, "/a/b", "k=v&k=w"), id="path and query"),
        pytest.param("ws://e?token=t", EngineUrl(False, "e", 80, "/", "token=t"), id="a query without a path"),
        pytest.param("ws://e:", EngineUrl(False, "e", 80, "/", ""), id="a colon and no port"),
    ],
)
def test_a_url_is_taken_apart(url: str, expected: EngineUrl) -> None:
    """Host and port for the socket, path and query for the request."""
    assert parse_url(url) == expected


@pytest.mark.parametrize(
    ("url", "resource", "authority", "shown"),
    [
        pytest.param("ws://e", "/", "e", "ws://e/", id="the scheme's port is left out"),
        pytest.param("wss://e:443", "/", "e", "wss://e/", id="spelled out or not"),
        pytest.param("wss://e:80", "/", "e:80", "wss://e:80/", id="the other scheme's port is not"),
        pytest.param("ws://[::1]:9/x", "/x", "[::1]:9", "ws://[::1]:9/x", id="IPv6 in brackets"),
        pytest.param("ws://e/x?k=s3cret", "/x?k=s3cret", "e", "ws://e/x?…", id="a query is sent and not shown"),
    ],
)
def test_a_url_is_sent_and_shown_like_this(url: str, resource: str, authority: str, shown: str) -> None:
    """The request line, the Host header, and what people see."""
    parsed = parse_url(url)
    assert (parsed.resource, parsed.authority, str(parsed)) == (resource, authority, shown)
    assert "s3cret" not in repr(parsed)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        pytest.param(7, "must be text, not int", id="a number"),
        pytest.param(None, "must be text, not NoneType", id="nothing"),
        pytest.param("", "without a scheme", id="empty"),
        pytest.param("127.0.0.1:49134", "must begin with ws://", id="no scheme"),
        pytest.param("http://e", "not http:", id="the browser's scheme"),
        pytest.param("ws://", "names no host", id="no host"),
        pytest.param("ws:///path", "names no host", id="a path only"),
        pytest.param("ws://:80", "names no host", id="a port only"),
        pytest.param("ws://user:s3cret@e", "user name or password", id="credentials"),
        pytest.param("ws://@e", "user name or password", id="empty credentials"),
        pytest.param("ws://e/#top", "fragment", id="a fragment"),
        pytest.param("ws://e:0", "port 0", id="a port on which nobody listens"),
        pytest.param("ws://e:s0", "cannot be read", id="a port that is no number"),
        pytest.param("ws://e:65536", "cannot be read", id="a port that cannot be"),
        pytest.param("ws://[::1", "cannot be read", id="half a bracket"),
        pytest.param("ws://e/a b", "printable ASCII", id="a space"),
        pytest.param(" ws://e", "printable ASCII", id="a space before"),
        pytest.param("ws://e\n", "printable ASCII", id="a newline behind, as files have it"),
        pytest.param("ws://é", "printable ASCII", id="a host that is not encoded"),
        pytest.param("ws://user:s3cret@a℀b", "printable ASCII", id="one that would be shown with its password"),
    ],
)
def test_a_url_that_cannot_work_is_refused(url: Any, reason: str) -> None:
    """At once, by name, and without the secrets in it."""
    with pytest.raises(ConfigurationError, match=reason) as caught:
        parse_url(url)
    assert "s3cret" not in str(caught.value)


@given(st.text(max_size=30) | st.text(max_size=20).map("ws://".__add__) | st.text("w:s/@[]?#%0a. ", max_size=20))
@examples(300)
def test_any_text_is_a_url_or_refused(url: str) -> None:
    """Nothing else happens, and what is accepted can be sent in a request line."""
    try:
        parsed = parse_url(url)
    except ConfigurationError:
        return
    assert parsed.host
    assert 0 <= parsed.port <= 65535
    assert parsed.resource.startswith("/")
    assert all(0x20 < ord(character) < 0x7F for character in parsed.resource + parsed.authority)


@pytest.mark.parametrize(
    ("url", "channel_id", "key", "resource"),
    [
        pytest.param("ws://h", "c-1", "k", "/ws/channels/c-1?key=k&dir=read", id="an engine"),
        pytest.param("ws://h/base/", "c", "k", "/base/ws/channels/c?key=k&dir=read", id="behind a path"),
        pytest.param("ws://h/?token=t", "c", "k", "/ws/channels/c?key=k&dir=read&token=t", id="with a query"),
        pytest.param(
            "ws://h",
            "../x?y#z",
            "a&dir=write",
            "/ws/channels/..%2Fx%3Fy%23z?key=a%26dir%3Dwrite&dir=read",
            id="hostile",
        ),
        pytest.param("ws://h", "é", " ", "/ws/channels/%C3%A9?key=%C3%A9&dir=read", id="no ASCII"),
    ],
)
def test_where_a_channel_is(url: str, channel_id: str, key: str, resource: str) -> None:
    """At the same engine, whatever a ref says, and the key is not shown."""
    ref = StreamChannelRef(channel_id=channel_id, access_key=key if key.strip() else "é", direction="read")
    found = channel_url(parse_url(url), ref)
    assert found.resource == resource
    assert (found.host, found.port, found.tls) == ("h", 80, False)
    assert "key" not in str(found)
