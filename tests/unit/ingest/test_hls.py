"""Playlists, and segments as one body."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import NotFound, UnsupportedMedia
from ingest.hls import HlsBody, best_variant, parse, whole_text

URL = "http://camera/live/list.m3u8"


class Body:
    def __init__(self, name: str, data: bytes) -> None:
        self.name, self._data = name, data

    def read(self, size: int = -1) -> bytes:
        size = len(self._data) if size < 0 else size
        part, self._data = self._data[:size], self._data[size:]
        return part

    def close(self) -> None:
        """Nothing is open."""


class Web:
    """Addresses and what they give: each answer once, the last for ever."""

    def __init__(self, pages: dict[str, list[bytes]]) -> None:
        self.pages = pages
        self.asked: list[str] = []

    def get(self, url: str) -> Any:
        self.asked.append(url)
        if url not in self.pages:
            raise NotFound(url)
        answers = self.pages[url]
        return Body(url, answers.pop(0) if len(answers) > 1 else answers[0])


def everything(body: HlsBody) -> bytes:
    data = b""
    while part := body.read(3):
        data += part
    body.close()
    return data


def test_a_master_playlist_leads_to_its_best_variant() -> None:
    master = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=100\nlow.m3u8\n#EXT-X-STREAM-INF:X=1,BANDWIDTH=900\n/high.m3u8\n"
    assert best_variant(master, URL) == "http://camera/high.m3u8"
    assert best_variant("#EXTM3U\n#EXTINF:1,\na.ts\n", URL) is None


def test_a_media_playlist_is_read() -> None:
    text = '#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:7\n#EXT-X-MAP:URI="init.mp4"\n#EXTINF:4,\na.m4s\n'
    playlist = parse(text, URL)
    assert (playlist.first, playlist.target_s, playlist.ended) == (7, 4.0, False)
    assert playlist.begin == "http://camera/live/init.mp4"
    assert playlist.segments == ("http://camera/live/a.m4s",)
    assert parse("#EXTM3U\n#EXT-X-TARGETDURATION:x\n#EXT-X-KEY:METHOD=NONE\n#EXT-X-ENDLIST", URL).target_s == 2.0


def test_segments_follow_one_another_and_a_live_list_is_read_again() -> None:
    head = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n"
    again = f"{head}#EXT-X-MEDIA-SEQUENCE:1\n#EXTINF:2,\nb\n#EXTINF:2,\nc\n"
    last = f"{head}#EXT-X-MEDIA-SEQUENCE:5\n#EXTINF:2,\nf\n#EXT-X-ENDLIST\n"
    begin = f'{head}#EXT-X-MAP:URI="i"\n#EXTINF:2,\na\n#EXTINF:2,\nb\n'
    pages = {f"http://camera/live/{name}": [name.encode() * 4] for name in "iabcf"}
    waits: list[float] = []
    web = Web({**pages, URL: [again.encode(), last.encode()]})
    body = HlsBody(web, URL, begin, 10.0, waits.append)
    assert everything(body) == b"iiiiaaaabbbbccccffff"
    assert waits == [1.0, 1.0]


def test_a_list_that_stands_still_is_broken() -> None:
    text = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\na\n"
    web = Web({URL: [text.encode()], "http://camera/live/a": [b"aa"]})
    with pytest.raises(OSError, match="no new segment for 6 s"):
        everything(HlsBody(web, URL, text, 3.0, lambda _: None))


def test_a_segment_that_is_refused_breaks_the_stream() -> None:
    with pytest.raises(OSError, match="camera"):
        everything(HlsBody(Web({}), URL, "#EXTM3U\n#EXTINF:2,\na\n#EXT-X-ENDLIST\n", 3.0))


@pytest.mark.parametrize("line", ['#EXT-X-KEY:METHOD=AES-128,URI="k"', "#EXT-X-BYTERANGE:100@0"])
def test_what_cannot_be_read_is_refused(line: str) -> None:
    with pytest.raises(UnsupportedMedia):
        parse(f"#EXTM3U\n{line}\n#EXTINF:2,\na\n", URL)


def test_what_is_no_playlist_is_refused() -> None:
    with pytest.raises(UnsupportedMedia, match="no playlist"):
        whole_text(Body(URL, b"<html>"), b"")


def test_a_master_playlist_is_followed() -> None:
    web = Web({"http://camera/high": [b"#EXTM3U\n#EXTINF:1,\na\n#EXT-X-ENDLIST\n"], "http://camera/a": [b"aa"]})
    assert everything(HlsBody(web, URL, "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n/high\n", 1.0)) == b"aa"


def growing(*names: str, first: int = 0, ended: bool = False) -> bytes:
    lines = "".join(f"#EXTINF:2,\n{name}\n" for name in names)
    end = "#EXT-X-ENDLIST\n" if ended else ""
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:{first}\n{lines}{end}".encode()


def segments(names: str) -> dict[str, list[bytes]]:
    return {f"http://camera/live/{name}": [name.encode()] for name in names}


def test_a_list_that_grows_is_begun_near_its_end_and_a_whole_one_at_its_beginning() -> None:
    web = Web({**segments("abcdefg"), URL: [growing(*"bcdefg", first=11, ended=True)]})
    body = HlsBody(web, URL, growing(*"abcdef", first=10).decode(), 9.0, lambda _: None)
    assert everything(body) == b"defg"
    assert body.following == 17
    assert everything(HlsBody(web, URL, growing(*"abcdef", ended=True).decode(), 9.0)) == b"abcdef"


@pytest.mark.parametrize(("following", "given"), [(12, b"cdef"), (16, b""), (9, b"def"), (17, b"def"), (None, b"def")])
def test_after_a_loss_it_goes_on_behind_what_was_read_whole(following: int | None, given: bytes) -> None:
    web = Web({**segments("abcdef"), URL: [growing(*"abcdef", first=10, ended=True)]})
    text = growing(*"abcdef", first=10).decode()
    assert everything(HlsBody(web, URL, text, 9.0, lambda _: None, following=following)) == given


def test_a_failure_is_no_end_however_often_it_is_asked() -> None:
    body = HlsBody(Web({}), URL, growing("a", ended=True).decode(), 9.0)
    for _ in range(2):
        with pytest.raises(OSError, match="camera"):
            body.read(3)
    assert not body.at_end


def test_whoever_does_not_wait_any_longer_ends_it() -> None:
    told: list[float] = []
    body = HlsBody(Web(segments("a")), URL, growing("a").decode(), 9.0, lambda _: False, told=told.append)
    with pytest.raises(OSError, match="not waited for"):
        everything(body)
    assert told == [9.0]
