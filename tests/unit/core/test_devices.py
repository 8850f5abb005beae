"""Which cameras of this machine may be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.addresses import check_stream_url, check_video_url
from core.devices import device, is_device
from core.errors import Forbidden, InvalidInput
from core.settings import Settings


def settings(*devices: str | Path) -> Settings:
    return Settings(ingest={"devices": devices})


@pytest.mark.parametrize("url", ["v4l2:/dev/video0", "V4L2:///dev/video0", "usb:0", "USB:00", "v4l2:/dev/./video0"])
def test_a_camera_that_the_setting_names_may_be_read(url: str) -> None:
    assert is_device(url)
    check_stream_url(url, settings("/dev/video0"))


def test_no_camera_is_named_by_default() -> None:
    for url in ("usb:0", "v4l2:/dev/video0", "v4l2:/etc/passwd"):
        with pytest.raises(Forbidden, match=r"ingest\.devices"):
            check_stream_url(url, Settings())


@pytest.mark.parametrize("url", ["usb:1", "v4l2:/dev/video1", "v4l2:/dev/video0/../mem", "v4l2:/dev"])
def test_another_device_may_not(url: str) -> None:
    with pytest.raises(Forbidden):
        check_stream_url(url, settings("/dev/video0"))


def test_a_link_is_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "camera").symlink_to("/dev/video7")
    assert device(f"v4l2:{tmp_path}/camera", settings("/dev/video7")).path == tmp_path / "camera"
    assert device("usb:7", settings(tmp_path / "camera")).path == Path("/dev/video7")
    (tmp_path / "disk").symlink_to("/dev/sda")
    with pytest.raises(Forbidden):
        device(f"v4l2:{tmp_path}/disk", settings("/dev/video7"))


def test_what_is_asked_of_a_camera_follows_its_name() -> None:
    asked = device("v4l2:/dev/video0?video_size=1280x720&framerate=29.97&input_format=mjpeg", settings("/dev/video0"))
    assert asked.options == {"video_size": "1280x720", "framerate": "29.97", "input_format": "mjpeg"}


@pytest.mark.parametrize(
    "url",
    [
        "usb:",
        "usb:one",
        "usb:-1",
        "usb:/dev/video0",
        "v4l2:",
        "v4l2:video0",
        "v4l2:/dev/video0?list_formats=all",
        "v4l2:/dev/video0?video_size=big",
        "v4l2:/dev/video0?framerate=",
        "v4l2:/dev/video0?framerate",
    ],
)
def test_what_names_no_camera_is_said_to_name_none(url: str) -> None:
    with pytest.raises(InvalidInput):
        device(url, settings("/dev/video0"))


def test_a_task_is_given_no_camera() -> None:
    with pytest.raises(Forbidden, match="schemes"):
        check_video_url("usb:0", settings("/dev/video0"))
