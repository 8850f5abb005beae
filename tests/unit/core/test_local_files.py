"""Which local files may be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.addresses import check_stream_url, check_video_url
from core.errors import ConfigError, Forbidden, InvalidInput, NotFound
from core.local_files import local_path
from core.settings import Settings


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("videos/a b.mp4", "private/secret.mp4", "media/uploads/1"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    (tmp_path / "videos" / "link.mp4").symlink_to(tmp_path / "private" / "secret.mp4")
    (tmp_path / "media" / "link").symlink_to(tmp_path / "private" / "secret.mp4")
    return tmp_path


@pytest.fixture
def settings(tree: Path) -> Settings:
    return Settings(ingest={"file_roots": [tree / "videos"]}, media={"url": str(tree / "media")})


def test_files_under_a_root_are_read(tree: Path, settings: Settings) -> None:
    wanted = tree / "videos" / "a b.mp4"
    for url in (f"file:{tree}/videos/a%20b.mp4", f"file://{tree}/videos/a%20b.mp4", f"FILE:{tree}/videos/a b.mp4"):
        assert local_path(url, settings) == wanted
    check_video_url(f"file:{tree}/videos/a%20b.mp4", settings)
    check_stream_url(f"file:{tree}/videos/a%20b.mp4", settings)


def test_uploads_are_read_by_key(tree: Path, settings: Settings) -> None:
    assert local_path("media:uploads/1", settings) == tree / "media" / "uploads" / "1"
    assert local_path("media:/uploads/1", settings) == tree / "media" / "uploads" / "1"


@pytest.mark.parametrize(
    "url",
    [
        "file:{}/private/secret.mp4",
        "file:{}/videos/../private/secret.mp4",
        "file:{}/videos/%2e%2e/private/secret.mp4",
        "file:{}/videos/link.mp4",
        "file:{}/videos/../private/none.mp4",
        "file:/etc/passwd",
        "media:../private/secret.mp4",
        "media:link",
        "media:uploads/../../private/secret.mp4",
    ],
)
def test_nothing_outside_is_read_nor_its_existence_told(tree: Path, settings: Settings, url: str) -> None:
    with pytest.raises(Forbidden):
        local_path(url.format(tree), settings)


@pytest.mark.parametrize("url", ["file:{}/videos/none.mp4", "file:{}/videos", "media:none"])
def test_a_missing_file_inside_is_not_found(tree: Path, settings: Settings, url: str) -> None:
    with pytest.raises(NotFound):
        local_path(url.format(tree), settings)


@pytest.mark.parametrize("url", ["file:", "file:relative.mp4", "file://otherhost/a.mp4", "file:/a%00b", "file://[/a"])
def test_what_is_no_path_is_said_to_be_none(settings: Settings, url: str) -> None:
    with pytest.raises(InvalidInput):
        local_path(url, settings)


def test_without_roots_no_file_is_read(tree: Path) -> None:
    with pytest.raises(Forbidden):
        local_path(f"file:{tree}/videos/a b.mp4", Settings())


def test_uploads_in_an_object_store_are_refused_clearly() -> None:
    with pytest.raises(ConfigError, match="s3"):
        local_path("media:a", Settings(media={"url": "s3://bucket/prefix"}))


def test_a_media_folder_may_be_given_as_url(tree: Path) -> None:
    settings = Settings(media={"url": f"file://{tree}/media"})
    assert local_path("media:uploads/1", settings) == tree / "media" / "uploads" / "1"
