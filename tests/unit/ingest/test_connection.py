"""What FFmpeg is given to open, by the kind of address; and what is never opened."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, ClassVar
from urllib.parse import urlsplit

import av
import pytest

from core.errors import ClientError, Forbidden, InvalidInput, NotFound, UnsupportedMedia
from core.settings import Settings
from ingest import connection
from ingest.connection import application, connect
from ingest.live_source import LiveSource


class Opened:
    """What `av.open` was asked for, and what it answers."""

    def __init__(self, name: str = "mpegts", error: Exception | None = None) -> None:
        self.asked: list[tuple[Any, dict[str, Any]]] = []
        self.name = name
        self.error = error

    def __call__(self, file: Any, _: str, **how: Any) -> Any:
        self.asked.append((file, how))
        if self.error is not None:
            raise self.error
        return SimpleNamespace(format=SimpleNamespace(name=self.name), close=lambda: None)


class FakeRelay:
    """A relay that was made, its first ones with a redirect."""

    made: ClassVar[list[FakeRelay]] = []
    redirects: ClassVar[list[str]] = []
    reason: ClassVar[str | None] = None

    def __init__(self, target: Any, connect_s: float, silence_s: float, **how: Any) -> None:
        self.target, self.how, self.patience = target, how, (connect_s, silence_s)
        self.netloc = "127.0.0.1:5"
        self.redirect = FakeRelay.redirects.pop(0) if FakeRelay.redirects else None
        self.failure = FakeRelay.reason
        self.closed = False
        FakeRelay.made.append(self)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Opened:
    made = Opened()
    monkeypatch.setattr(connection.av, "open", made)
    return made


@pytest.fixture
def relays(monkeypatch: pytest.MonkeyPatch) -> list[FakeRelay]:
    monkeypatch.setattr(connection, "Relay", FakeRelay)
    monkeypatch.setattr(FakeRelay, "made", [])
    monkeypatch.setattr(FakeRelay, "redirects", [])
    monkeypatch.setattr(FakeRelay, "reason", None)
    return FakeRelay.made


def settings(**ingest: Any) -> Settings:
    return Settings(ingest={"allow_loopback": True, **ingest})


@pytest.mark.parametrize(
    ("url", "transport", "given", "options"),
    [
        (
            "rtsp://u:p@127.0.0.1/a/b?c=d",
            "tcp",
            "rtsp://u:p@127.0.0.1:5/a/b?c=d",
            {"protocol_whitelist": "tcp", "format_whitelist": "rtsp", "rtsp_transport": "tcp"},
        ),
        (
            "rtsp://127.0.0.1:8554/a",
            "udp",
            "rtsp://127.0.0.1:5/a",
            {"protocol_whitelist": "tcp,udp,rtp", "format_whitelist": "rtsp", "rtsp_transport": "udp"},
        ),
        ("rtsps://127.0.0.1/a", "tcp", "rtsp://127.0.0.1:5/a", {"protocol_whitelist": "tcp"}),
        (
            "rtmp://u:p@127.0.0.1/live/key",
            "tcp",
            "rtmp://u:p@127.0.0.1:5/live/key",
            {
                "protocol_whitelist": "rtmp,tcp",
                "format_whitelist": "flv,live_flv",
                "rtmp_tcurl": "rtmp://127.0.0.1/live",
            },
        ),
        ("rtmps://127.0.0.1/live/key", "tcp", "rtmp://127.0.0.1:5/live/key", {"protocol_whitelist": "rtmp,tcp"}),
        ("tcp://127.0.0.1:9000", "tcp", "tcp://127.0.0.1:5", {"protocol_whitelist": "tcp"}),
    ],
)
def test_ffmpeg_gets_an_address_of_this_machine_and_no_other_protocol(
    opened: Opened, relays: list[FakeRelay], *, url: str, transport: Any, given: str, options: dict[str, str]
) -> None:
    connect(url, settings(), transport=transport).close()
    ((file, how),) = opened.asked
    assert file == given
    assert options.items() <= how["options"].items()
    assert "file" not in how["options"]["protocol_whitelist"]
    (relay,) = relays
    scheme = url.partition(":")[0]
    assert relay.target.addresses == ("127.0.0.1",)
    assert relay.target.tls is (scheme in {"rtsps", "rtmps"})
    assert relay.how["guarded"] is scheme.startswith("rtsp")
    assert relay.closed


def test_the_usual_ports_are_known(opened: Opened, relays: list[FakeRelay]) -> None:
    for scheme in ("rtsp", "rtsps", "rtmp", "rtmps"):
        connect(f"{scheme}://127.0.0.1/a", settings())
    assert [relay.target.port for relay in relays] == [554, 322, 1935, 443]
    with pytest.raises(InvalidInput, match="port"):
        connect("tcp://127.0.0.1", settings())


def test_a_streams_own_time_out_is_the_connections(opened: Opened, relays: list[FakeRelay]) -> None:
    connect("rtsp://127.0.0.1/a", settings(), timeout_s=3.0)
    assert relays[0].patience == (3.0, 3.0)
    assert opened.asked[0][1]["timeout"] == (20.0, 3.0)


def test_redirects_of_rtsp_are_followed_by_us_and_checked(relays: list[FakeRelay], opened: Opened) -> None:
    opened.error = OSError("closed")
    for place in ("rtsp://169.254.169.254/a", "rtsp://224.0.0.1/", "http://127.0.0.1/a", "file:///etc/passwd"):
        FakeRelay.redirects[:] = [place]
        with pytest.raises(Forbidden):
            connect("rtsp://127.0.0.1/a", settings())
    assert all(relay.closed for relay in relays)
    assert {relay.target.addresses for relay in relays} == {("127.0.0.1",)}
    FakeRelay.redirects[:] = ["rtsp://127.0.0.1/a"] * 20
    with pytest.raises(UnsupportedMedia, match="redirects"):
        connect("rtsp://127.0.0.1/a", settings())
    assert len(FakeRelay.redirects) == 20 - 6


def test_loopback_is_refused_to_redirects_as_to_anything() -> None:
    with pytest.raises(Forbidden):
        connect("rtsp://127.0.0.1/a", Settings())


def test_the_relay_knows_why_where_ffmpeg_does_not(opened: Opened, relays: list[FakeRelay]) -> None:
    FakeRelay.reason = "it has closed the connection"
    opened.error = av.error.InvalidDataError(1, "Invalid data")
    with pytest.raises(OSError, match="it has closed"):
        connect("rtsp://127.0.0.1/a", settings())
    opened.error = av.error.HTTPNotFoundError(1, "Server returned 404 Not Found")
    with pytest.raises(av.error.HTTPNotFoundError):
        connect("rtsp://127.0.0.1/a", settings())
    opened.error = av.error.ExitError(1, "Immediate exit requested")
    with pytest.raises(TimeoutError, match="no video came within 20 s"):
        connect("rtsp://127.0.0.1/a", settings())
    assert all(relay.closed for relay in relays)


@pytest.mark.parametrize(
    ("url", "given", "options"),
    [
        ("udp://127.0.0.1:5000", "udp://127.0.0.1:5000", {"protocol_whitelist": "udp"}),
        ("rtp://[::1]:5000", "rtp://[::1]:5000", {"protocol_whitelist": "rtp,udp", "format_whitelist": "rtp,sdp"}),
    ],
)
def test_datagrams_come_at_an_address_that_was_checked(
    opened: Opened, url: str, given: str, options: dict[str, str]
) -> None:
    connect(url, settings(protocols=("udp", "rtp")))
    ((file, how),) = opened.asked
    assert file == given
    assert options.items() <= how["options"].items()


def test_udp_may_be_forbidden(opened: Opened) -> None:
    with pytest.raises(Forbidden, match="udp"):
        connect("rtsp://127.0.0.1/a", settings(protocols=("rtsp",)), transport="udp")
    assert opened.asked == []


@pytest.mark.parametrize(
    "url",
    [
        "file:/etc/passwd",
        "FILE:///etc/passwd",
        "/etc/passwd",
        "concat:/etc/passwd|/etc/hosts",
        "concat:http://127.0.0.1/a|file:/etc/passwd",
        "concatf:http://127.0.0.1/list",
        "subfile,,start,0,end,9,,:/etc/passwd",
        "crypto+file:/etc/passwd",
        "crypto:/etc/passwd",
        "cache:file:/etc/passwd",
        "async:file:/etc/passwd",
        "data:text/plain,x",
        "pipe:0",
        "fd:0",
        "unix:/run/docker.sock",
        "gopher://127.0.0.1/",
        "hls+http://127.0.0.1/a.m3u8",
        "lavfi:testsrc",
        "tls://127.0.0.1:443",
        "srtp://127.0.0.1:1",
        "rtmpt://127.0.0.1/a",
        "httpproxy://127.0.0.1/",
    ],
)
def test_what_names_files_or_other_protocols_is_refused_before_ffmpeg_sees_it(opened: Opened, url: str) -> None:
    with pytest.raises((Forbidden, InvalidInput)):
        connect(url, settings())
    assert opened.asked == []


@pytest.mark.parametrize("url", ["udp://127.0.0.1:5?localaddr=10.0.0.1", "tcp://127.0.0.1:5?listen=1"])
@pytest.mark.usefixtures("relays")
def test_an_address_takes_no_options_of_ffmpegs(opened: Opened, url: str) -> None:
    with pytest.raises(InvalidInput, match="options"):
        connect(url, settings())
    assert opened.asked == []


def test_a_usb_camera_is_opened_as_such(opened: Opened, tmp_path: Any) -> None:
    fake = tmp_path / "video0"
    with pytest.raises(NotFound):
        connect(f"v4l2:{fake}", settings(devices=[fake]))
    fake.touch()
    connect(f"v4l2:{fake}?video_size=640x480", settings(devices=[fake]))
    ((file, how),) = opened.asked
    assert (file, how["format"], how["options"]) == (str(fake), "v4l2", {"video_size": "640x480"})


def test_a_fake_usb_camera_gives_pictures(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """FFmpeg's own test picture stands where the device would: everything but the driver is real."""
    fake, real = tmp_path / "video0", av.open
    fake.touch()

    def test_picture(_: str, *args: Any, **how: Any) -> Any:
        assert how.pop("format") == "v4l2"
        size = how.pop("options")["video_size"]
        return real(f"testsrc2=size={size}:rate=10:duration=1", *args, format="lavfi", **how)

    monkeypatch.setattr(connection.av, "open", test_picture)
    source = LiveSource.open(f"v4l2:{fake}?video_size=64x48", settings(devices=[fake]), None)
    shapes = [frame.rgb().shape for frame in source.frames(print)]
    assert shapes == [(48, 64, 3)] * 10


@pytest.mark.parametrize(
    ("path", "name"),
    [("/live/key", "live"), ("/a/b/key", "a/b"), ("/a/mp4:b/c", "a"), ("/ondemand/x/y", "ondemand"), ("/key", "")],
)
def test_an_rtmp_application_is_named_as_ffmpeg_does(path: str, name: str) -> None:
    assert application(urlsplit(f"rtmp://h{path}")) == name


def test_credentials_stand_in_no_refusal(relays: list[FakeRelay], opened: Opened) -> None:
    opened.error = OSError("no")
    for url in ("rtsp://admin:secret@127.0.0.1/a?password=hidden", "rtmp://admin:secret@127.0.0.1/a/b?pwd=hidden"):
        with pytest.raises(ClientError) as caught:
            LiveSource.open(url, settings(), None)
        assert "secret" not in str(caught.value)
        assert "hidden" not in str(caught.value)
