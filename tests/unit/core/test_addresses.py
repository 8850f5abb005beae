"""Which addresses may be opened."""

from __future__ import annotations

import pytest

from core.addresses import check_callback_url, check_stream_url, check_video_url
from core.errors import Forbidden, InvalidInput
from core.settings import Settings


def resolver(*addresses: str):
    def resolve(host: str, port: int) -> tuple[str, ...]:
        return addresses

    return resolve


def settings(**ingest: object) -> Settings:
    return Settings(ingest=ingest)


PUBLIC = ("93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946")
LOOPBACK = (
    "127.0.0.1",
    "127.255.0.9",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "64:ff9b::7f00:1",
    "::127.0.0.1",
    "2002:7f00:1::",
)
PRIVATE = ("10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "fd12::1", "::ffff:10.0.0.1")
NEVER = (
    "169.254.169.254",
    "::ffff:169.254.169.254",
    "fd00:ec2::254",
    "100.100.100.200",
    "0.0.0.0",
    "::",
    "224.0.0.1",
    "255.255.255.255",
    "240.0.0.1",
    "fe80::1",
    "fe80::1%eth0",
    "ff02::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "192.0.2.1",
    "2001:db8::1",
    "nonsense",
)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_opened(address: str) -> None:
    check_video_url("https://example.org/a.mp4", settings(), resolver(address))
    check_stream_url("rtsp://example.org/1", settings(), resolver(address))
    check_callback_url("https://example.org/hook", settings(), resolver(address))


@pytest.mark.parametrize("address", LOOPBACK)
def test_loopback_is_refused_unless_the_setting_allows_it(address: str) -> None:
    for check in (check_video_url, check_stream_url, check_callback_url):
        with pytest.raises(Forbidden, match="may not be opened"):
            check("http://camera/a", settings(), resolver(address))
        check("http://camera/a", settings(allow_loopback=True), resolver(address))


@pytest.mark.parametrize("address", PRIVATE)
def test_private_ranges_are_for_streams_only(address: str) -> None:
    check_stream_url("rtsp://camera/1", settings(), resolver(address))
    for check in (check_video_url, check_callback_url):
        with pytest.raises(Forbidden, match="private"):
            check("http://nas/a.mp4", settings(), resolver(address))
        check("http://nas/a.mp4", settings(allow_private_videos=True), resolver(address))


@pytest.mark.parametrize("address", NEVER)
def test_link_local_metadata_and_reserved_addresses_are_never_opened(address: str) -> None:
    for check in (check_video_url, check_stream_url, check_callback_url):
        with pytest.raises(Forbidden):
            check("http://camera/a", settings(allow_loopback=True, allow_private_videos=True), resolver(address))


def test_every_address_of_a_name_counts() -> None:
    with pytest.raises(Forbidden):
        check_video_url("http://both/a", settings(), resolver("93.184.216.34", "127.0.0.1"))


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://2130706433/",
        "http://0177.0.0.1/",
        "http://0x7f.0.0.1/",
        "http://0x7f000001/",
        "http://127.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[0:0:0:0:0:ffff:7f00:1]/",
        "http://user@127.0.0.1:8080/",
        "http://example.org@127.0.0.1/",
        "http://localhost/",
    ],
)
def test_every_spelling_of_loopback_is_seen_through(url: str) -> None:
    """The system's own reading of numeric hosts is what would be connected to; no name server is asked."""
    with pytest.raises(Forbidden):
        check_video_url(url, settings())


@pytest.mark.parametrize("url", ["ftp://a/b", "gopher://a/", "concat:http://a/|/etc/passwd", "rtsp://a/1", "data:,x"])
def test_a_video_comes_over_http_only(url: str) -> None:
    with pytest.raises(Forbidden, match="scheme"):
        check_video_url(url, settings(), resolver(PUBLIC[0]))


def test_a_scheme_taken_from_the_protocols_is_refused() -> None:
    check_stream_url("rtmp://a/1", settings(), resolver(PUBLIC[0]))
    with pytest.raises(Forbidden, match="scheme"):
        check_stream_url("rtmp://a/1", settings(protocols=("http", "https")), resolver(PUBLIC[0]))


@pytest.mark.parametrize(
    "url",
    [
        "http://",
        "no url",
        "//a/b",
        "http://a b/",
        "http://a\\@b/",
        "http://a/\x00",
        "http://[::1/",
        "http://a:99999/",
        "https://a/" + "a" * 5000,
    ],
)
def test_what_is_no_url_is_said_to_be_none(url: str) -> None:
    with pytest.raises(InvalidInput):
        check_video_url(url, settings(), resolver(PUBLIC[0]))


def test_a_host_without_an_address_is_wrong_input() -> None:
    def nothing(host: str, port: int) -> tuple[str, ...]:
        raise OSError("no such host")

    for none in (nothing, resolver()):
        with pytest.raises(InvalidInput, match="no address"):
            check_video_url("http://nowhere.example/", settings(), none)


def test_credentials_are_not_repeated_in_a_refusal() -> None:
    with pytest.raises(InvalidInput) as caught:
        check_stream_url("rtsp://admin:secret@", settings())
    assert "secret" not in str(caught.value)
