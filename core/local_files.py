"""Which local files may be read as a video: uploads, and what lies under `ingest.file_roots`."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from core.errors import ConfigError, Forbidden, InvalidInput, NotFound
from core.settings import Settings


def is_local(url: str) -> bool:
    """Whether `url` names a local file (``file:``) or an upload (``media:``)."""
    return url[:6].lower() in {"media:"} or url[:5].lower() == "file:"


def local_path(url: str, settings: Settings) -> Path:
    """The file that ``file:`` or ``media:`` names, links resolved, inside the folders allowed.

    Raises:
        InvalidInput: no path, or a host in it.
        Forbidden: outside of the allowed folders.
        NotFound: no such file.
        ConfigError: the media store is no folder, so its uploads cannot be read in place.
    """
    if url[:6].lower() == "media:":
        return _inside(media_root(settings) / url[6:].lstrip("/"), (media_root(settings),), url)
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise InvalidInput(f"no URL: {error}", "url") from error
    if parts.netloc not in {"", "localhost"} or not parts.path:
        raise InvalidInput("a file: URL names a path on this machine, such as file:/videos/a.mp4", "url")
    return _inside(Path(unquote(parts.path)), settings.ingest.file_roots, url)


def media_root(settings: Settings) -> Path:
    """Folder of the media store. Raises ConfigError when it is no folder."""
    url = settings.media_url
    if url.startswith("file:"):
        return Path(unquote(urlsplit(url).path))
    if "://" in url:
        raise ConfigError(f"uploads in {url.split('://', maxsplit=1)[0]}:// cannot be read yet; use a folder")
    return Path(url)


def _inside(path: Path, roots: tuple[Path, ...], url: str) -> Path:
    """`path` with links resolved; "no such file" is only said of files inside a root."""
    try:
        real = path.resolve()
    except (OSError, ValueError, RuntimeError) as error:
        raise InvalidInput(f"{url!r} is no path: {error}", "url") from error
    if not path.is_absolute() and not any(path.is_relative_to(root) for root in roots):
        raise InvalidInput("the path must be absolute", "url")
    if not any(real.is_relative_to(root.resolve()) for root in roots):
        raise Forbidden(f"{url!r} is not in a folder that videos are read from (ingest.file_roots)")
    if not real.is_file():
        raise NotFound(f"{url!r}: no such file")
    return real
