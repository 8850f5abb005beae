"""Pictures and videos under keys."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput, NotFound, StoreUnavailable
from core.settings import Media, Settings
from warehouse.media import MediaStore, check_key


@pytest.fixture
def media(tmp_path: Path) -> MediaStore:
    return MediaStore.connect(Settings(data_dir=tmp_path))


def test_bytes_come_back(media: MediaStore) -> None:
    for data in (b"", b"\xff\xd8\x00", os.urandom(3_000_000)):
        media.put("a/1/x.jpg", data)
        assert media.get("a/1/x.jpg") == data
        assert media.size("a/1/x.jpg") == len(data)
    path = media.local_path("a/1/x.jpg")
    assert path is not None
    assert path.stat().st_size == 3_000_000


def test_ranges_are_cut_to_what_is_there(media: MediaStore) -> None:
    data = os.urandom(2_500_000)
    media.put("v.mp4", data)
    assert b"".join(media.open_range("v.mp4")) == data
    assert b"".join(media.open_range("v.mp4", 5, 10)) == data[5:10]
    assert b"".join(media.open_range("v.mp4", 2_499_990, 9_999_999)) == data[-10:]
    assert list(media.open_range("v.mp4", 10, 10)) == []
    pieces = list(media.open_range("v.mp4", 3, chunk=1_000_000))
    assert [len(p) for p in pieces] == [1_000_000, 1_000_000, 499_997]


def test_files_are_kept(media: MediaStore, tmp_path: Path) -> None:
    data = os.urandom(12_000_000)  # more than one part of an upload
    file = tmp_path / "in.mp4"
    file.write_bytes(data)
    media.put_file("uploads/x.mp4", file)
    assert media.get("uploads/x.mp4") == data
    with pytest.raises(NotFound):
        media.put_file("uploads/y.mp4", tmp_path / "none.mp4")


def test_what_is_not_there(media: MediaStore) -> None:
    assert media.exists("none.jpg") is False
    media.delete("none.jpg")
    assert media.delete_prefix("none") == 0
    for ask in (media.get, media.size, media.open_range):
        with pytest.raises(NotFound):
            ask("none.jpg")


def test_a_stream_s_pictures_are_deleted_and_no_other_s(media: MediaStore) -> None:
    for n in range(25):
        media.put(f"stream-1/1/{n}.jpg", b"x")
    media.put("stream-10/1/0.jpg", b"y")
    media.put("stream-1.jpg", b"z")
    assert sorted(media.keys("stream-1")) == sorted(f"stream-1/1/{n}.jpg" for n in range(25))
    assert media.delete_prefix("stream-1") == 25
    assert list(media.keys("stream-1")) == []
    assert media.exists("stream-10/1/0.jpg")
    assert media.exists("stream-1.jpg")
    media.delete("stream-1.jpg")
    assert not media.exists("stream-1.jpg")


def test_deleting_what_another_deletes_too(media: MediaStore, monkeypatch) -> None:
    media.put("s/1.jpg", b"x")
    monkeypatch.setattr(media, "keys", lambda prefix: ["s/0.jpg", "s/1.jpg", "s/2.jpg"])
    media.delete_prefix("s")
    assert not media.exists("s/1.jpg")


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/etc/passwd",
        "../x",
        "a/../b",
        "a/./b",
        "a//b",
        "a/",
        ".hidden",
        "a/.b",
        "a\\b",
        "a b",
        "ü",
        "a\0b",
        "a\n",
        "%2e%2e/x",
        "x" * 513,
    ],
)
def test_unsafe_keys_are_refused(media: MediaStore, key: str) -> None:
    for ask in (
        media.get,
        media.size,
        media.exists,
        media.delete,
        media.local_path,
        media.open_range,
        media.delete_prefix,
        lambda k: media.put(k, b""),
    ):
        with pytest.raises(InvalidInput):
            ask(key)


@given(st.text(max_size=40) | st.text(alphabet="ab/._-", max_size=12))
def test_no_key_leaves_the_folder(key: str) -> None:
    try:
        check_key(key)
    except InvalidInput:
        return
    root = Path("/media")
    assert Path(os.path.normpath(root / key)).is_relative_to(root)
    assert os.path.normpath(root / key) == str(root / key)


def test_a_store_elsewhere_has_no_files(tmp_path: Path) -> None:
    media = MediaStore.connect(Settings(data_dir=tmp_path, media=Media(url="memory://")))
    media.put("a/b.jpg", b"x")
    assert media.get("a/b.jpg") == b"x"
    assert media.local_path("a/b.jpg") is None
    assert MediaStore.connect(Settings(media=Media(url=f"file://{tmp_path}/m"))).local_path("a") == tmp_path / "m" / "a"


def test_a_store_that_fails_is_worth_another_try(media: MediaStore, tmp_path: Path) -> None:
    (tmp_path / "media" / "a").write_text("a file where a folder should be")
    with pytest.raises(StoreUnavailable):
        media.put("a/b.jpg", b"x")
