"""An RTSP camera: GStreamer's server, showing packets that were taken out of a file as they are, for ever.

Run by the system's own Python, which has GStreamer's bindings:
``/usr/bin/python3 rtsp_server.py [--user NAME:PASSWORD [--basic]] [--tls CERTIFICATE] PACKETS...``.
Each file of packets is one setting of the camera; it may ask who watches (by digest, as cameras do, unless told
otherwise), and speak TLS with a certificate and key in one file. It is watched at
``rtsp://127.0.0.1:PORT/camera``, each connection from the first packet on; the port is the first line of its output.
It does what the lines of its input say:

    drop           close every connection
    every N        and again each N seconds
    stall          send nothing
    go             go on
    show N         show the packets of the N-th file from here on, as a camera that is set to another size
    quit

A file of packets holds, for each: presentation time in ns (int64, big endian), size (uint32), and an access unit of
H.264 with start codes.
"""

from __future__ import annotations

import argparse
import struct
import sys
import threading
from pathlib import Path
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

LAUNCH = (
    "( appsrc name=frames is-live=true format=time "
    "caps=video/x-h264,stream-format=byte-stream,alignment=au "
    "! h264parse ! rtph264pay name=pay0 pt=96 config-interval=-1 )"
)
FRAME = 1_000_000_000 // 25
HEADER = struct.Struct(">qI")
Packet = tuple[int, bytes]
"""Presentation time in ns, and bytes."""


def packets_of(path: str) -> list[Packet]:
    """All of a file."""
    data, at, found = Path(path).read_bytes(), 0, []
    while at < len(data):
        pts, size = HEADER.unpack_from(data, at)
        at += HEADER.size
        found.append((pts, data[at : at + size]))
        at += size
    return found


class Camera:
    """What all connections are shown.

    Attributes:
        showing: number of the setting.
        waiting: connections that would have had a packet by now.
    """

    def __init__(self, settings: list[list[Packet]]) -> None:
        self.settings = settings
        self.showing = 0
        self.stalled = False
        self.waiting: list[Show] = []


class Show:
    """One connection's pictures, from the first packet on."""

    def __init__(self, camera: Camera, source: Any) -> None:
        self.camera = camera
        self.source = source
        self.showing = camera.showing
        self.at = 0
        self.base = 0
        self.last = -FRAME
        source.connect("need-data", self.needed)

    def needed(self, *_: object) -> None:
        """Called by GStreamer when it has nothing left to send."""
        if self.camera.stalled:
            self.camera.waiting.append(self)
        else:
            self.push()

    def push(self) -> None:
        """Hand over the next packet; GStreamer holds it back until it is time."""
        camera = self.camera
        if self.at >= len(camera.settings[self.showing]) or self.showing != camera.showing:
            self.showing, self.at = camera.showing, 0
            self.base = self.last + FRAME
        packets = camera.settings[self.showing]
        pts, data = packets[self.at]
        self.at += 1
        shown = self.base + pts - packets[0][0]
        self.last = max(self.last, shown)
        buffer = Gst.Buffer.new_wrapped(data)
        buffer.pts = max(0, shown)
        self.source.emit("push-buffer", buffer)


class Factory(GstRtspServer.RTSPMediaFactory):
    """Makes the pipeline of each connection."""

    def __init__(self, camera: Camera) -> None:
        super().__init__()
        self.camera = camera

    def do_create_element(self, _: object) -> Any:
        """The pipeline."""
        return Gst.parse_launch(LAUNCH)

    def do_configure(self, media: Any) -> None:
        """Have it ask for packets; what it asks is kept alive by the element that asks."""
        Show(self.camera, media.get_element().get_child_by_name("frames"))


class Orders(threading.Thread):
    """Follows the input, in a thread of its own; what touches GStreamer is done by the main loop."""

    def __init__(self, camera: Camera, server: Any, loop: Any) -> None:
        super().__init__(daemon=True)
        self.camera = camera
        self.server = server
        self.loop = loop

    def run(self) -> None:
        """To the end of the input."""
        for line in sys.stdin:
            word, _, number = line.strip().partition(" ")
            if word == "quit":
                break
            GLib.idle_add(self.obey, word, number)
        GLib.idle_add(self.loop.quit)

    def obey(self, word: str, number: str) -> bool:
        """Do it, once."""
        match word:
            case "drop":
                self.drop()
            case "every":
                GLib.timeout_add(round(float(number) * 1000), self.drop)
            case "stall":
                self.camera.stalled = True
            case "go":
                self.camera.stalled = False
                waiting, self.camera.waiting = self.camera.waiting, []
                for show in waiting:
                    show.push()
            case "show":
                self.camera.showing = int(number)
        return False

    def drop(self) -> bool:
        """Close every connection, and be called again if it was a matter of time."""
        self.server.client_filter(lambda *_: GstRtspServer.RTSPFilterResult.REMOVE)
        return True


ROLE = "viewer"


def guard(asked: argparse.Namespace, factory: Factory) -> Any:
    """Who may watch, and by which means."""
    auth = GstRtspServer.RTSPAuth()
    allowed = GstRtspServer.RTSPPermissions()
    viewer = GstRtspServer.RTSPToken()
    viewer.set_string("media.factory.role", ROLE)
    for right in ("access", "construct"):
        allowed.add_permission_for_role(ROLE, f"media.factory.{right}", True)
    if asked.user:
        name, _, password = asked.user.partition(":")
        if asked.basic:
            auth.add_basic(GstRtspServer.RTSPAuth.make_basic(name, password), viewer)
        else:
            auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
            auth.add_digest(name, password, viewer)
    else:
        auth.set_default_token(viewer)
    if asked.tls:
        auth.set_tls_certificate(Gio.TlsCertificate.new_from_file(asked.tls))
    factory.set_permissions(allowed)
    return auth


def main() -> None:
    """Serve until the input ends."""
    parser = argparse.ArgumentParser(prog="rtsp_server.py")
    parser.add_argument("--user", default="")
    parser.add_argument("--basic", action="store_true")
    parser.add_argument("--tls", default="")
    parser.add_argument("packets", nargs="+")
    asked = parser.parse_args()
    Gst.init(None)
    camera = Camera([packets_of(path) for path in asked.packets])
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service("0")
    factory = Factory(camera)
    server.get_mount_points().add_factory("/camera", factory)
    if asked.user or asked.tls:
        server.set_auth(guard(asked, factory))
    server.attach(None)
    loop = GLib.MainLoop()
    print(server.get_bound_port(), flush=True)
    Orders(camera, server, loop).start()
    loop.run()


if __name__ == "__main__":
    main()
