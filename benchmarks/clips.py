"""Videos and the pictures in them, as ingest sends them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import av
import msgspec

from core.settings import Ingest
from ingest.file_source import FileSource
from ingest.reading import Shape

CARS = "data/videos/intel/car-detection.mp4"
BOTTLES = "data/videos/intel/bottle-detection.mp4"


def jpegs(file: Path, count: int) -> list[bytes]:
    """Pictures evenly over the file, made as ingest makes them."""
    ingest = Ingest()
    source = FileSource.open(file, ingest.max_pixels, None)
    shape = Shape.of(source.probe, ingest)
    step = max(1, (source.probe.expected or count) // count)
    frames = enumerate(source.frames(lambda _: None))
    return [shape.jpeg(frame.rgb()) for number, frame in frames if number % step == 0][:count]


def kept(pictures: list[bytes], folder: Path) -> Path:
    """A file with the pictures, for another process."""
    path = folder / "pictures.msgpack"
    path.write_bytes(msgspec.msgpack.encode(pictures))
    return path


def pictures_of(path: Path | str) -> list[bytes]:
    """The pictures of such a file."""
    return msgspec.msgpack.decode(Path(path).read_bytes(), type=list[bytes])


def quiet(file: Path, target: Path, *, still_s: float, times: int) -> Path:
    """The video between two stretches in which its first seconds are shown again and again: a scene as most are."""
    still = f"trim=end={still_s},loop=loop={times - 1}:size=1000:start=0,setpts=N/FRAME_RATE/TB"
    graph = f"[0:v]split=3[a][b][c];[a]{still}[d];[b]setpts=N/FRAME_RATE/TB[e];[c]{still}[f];[d][e][f]concat=n=3[v]"
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", str(file), "-filter_complex", graph, "-map", "[v]"]
    subprocess.run([*command, "-c:v", "libx264", "-preset", "veryfast", "-crf", "18", str(target)], check=True)
    return target


def repeated(file: Path, times: int, target: Path) -> Path:
    """The video of `file` so many times over, its packets as they are."""
    if times == 1:
        return file
    with av.open(str(target), "w") as output:
        made = None
        shift = 0
        for _ in range(times):
            with av.open(str(file)) as container:
                stream = container.streams.video[0]
                made = made or output.add_stream_from_template(stream)
                end = 0
                for packet in container.demux(stream):
                    if packet.dts is None or packet.pts is None:
                        continue
                    packet.stream = made
                    packet.pts += shift
                    packet.dts += shift
                    end = max(end, packet.pts + (packet.duration or 0))
                    output.mux(packet)
                shift = end
    return target
