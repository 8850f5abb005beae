"""From decoded frames to a lane: sampling, pacing, the motion gate, scaling, encoding."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple, Protocol

from msgspec.structs import replace

from core.analytics import needs_faces
from core.clock import Clock, now_ms, wall_clock
from core.errors import Oversized
from core.ids import Seq
from core.local_files import is_local
from core.messages import Analytic, AnalyticsChanged, Frame, StreamSpec, VideoInfo
from core.settings import Ingest
from ingest.control import Control
from ingest.decoded import Decoded, NotDecoded, ProblemSink, Times, Unneeded
from ingest.gate import MotionGate
from ingest.lanes import Lane
from ingest.ledger import Ledger
from ingest.luma import Luma
from ingest.passing import Behind
from ingest.picture import Rgb, Size, scaled, squared, to_jpeg, upright
from ingest.probe import Probe
from ingest.sampling import Sampler, Timeline, tolerance


class Source(Protocol):
    """Something that gives frames.

    Attributes:
        broken: the error that it ended with; None while it is sound.
        lost: why it ended before its end, if only because it was closed; None where it came to its end.
    """

    probe: Probe
    decoder: str
    broken: str | None
    lost: str | None

    @property
    def times(self) -> Times:
        """What its frames' own times are worth."""

    def frames(self, problem: ProblemSink, unneeded: Unneeded, /) -> Iterator[Decoded]:
        """The frames in order of presentation; `problem` hears of damaged places.

        Args:
            unneeded: asked behind the first frame; those up to that time may be left out.
        """


class Connections(Protocol):
    """How a source goes on when it ends before its time, and when nobody wants to see it."""

    @property
    def shut(self) -> bool:
        """Whether no analytic works at this hour."""

    def came(self) -> None:
        """A frame has come."""

    def rest(self) -> bool:
        """Wait, outside of all hours, where the source waits too; False where it has to be left."""

    def again(self, source: Source) -> Source | None:
        """Another connection in the place of one that has ended, or is left; None where that is the end."""


class Once:
    """One connection, at all hours, and its end is the end."""

    shut = False

    def came(self) -> None:
        """Nothing follows from it."""

    def rest(self) -> bool:
        """It never has to."""
        return True

    def again(self, _: Source) -> None:
        """There is none."""


@dataclass(slots=True)
class Shape:
    """How decoded pixels become the picture that is sent.

    A recording keeps the size that it begins with. A camera is followed when it is set to another, for
    its pictures would be squeezed.

    Attributes:
        size: of the picture; `coded`: of the pixels that it is made of.
        aspect: of those pixels.
    """

    coded: Size
    size: Size
    rotation: int
    quality: int
    long_side: int
    aspect: Fraction
    follows: bool

    @classmethod
    def of(cls, probe: Probe, ingest: Ingest, *, follows: bool = False) -> Shape:
        """Scaled before it is encoded, and never up."""
        coded, wide = probe.coded, probe.shown.turned(probe.rotation)
        aspect = Fraction(wide.width * coded.height, wide.height * coded.width)
        size = probe.shown.fitted(ingest.long_side)
        return cls(coded, size, probe.rotation, ingest.jpeg_quality, ingest.long_side, aspect, follows)

    def jpeg(self, image: Rgb) -> bytes:
        """The picture of a decoded frame; `size` is its own from then on."""
        height, width = image.shape[:2]
        if self.follows and (width, height) != (self.coded.width, self.coded.height):
            self.coded = Size(width, height)
            self.size = squared(self.coded, self.aspect).turned(self.rotation).fitted(self.long_side)
        return to_jpeg(upright(scaled(image, self.size.turned(self.rotation)), self.rotation), self.quality)


class Stamp(NamedTuple):
    """What is known of a frame's time, in seconds: by its source, and by when it came (None: that says nothing)."""

    pts: Fraction | None
    came: Fraction | None


@dataclass(frozen=True, slots=True)
class Resume:
    """Where an interrupted run goes on.

    Attributes:
        published: frames that are on Kafka already; they are passed over, and counted by reading
            the file again (a file gives the same frames each time).
        last: position of the newest of them among the decoded frames. What was read before it and
            is not among the published was too large: batch gives up nothing else on its way. It is
            converted again, because what cannot be is no decoded frame and has no position.
        behind: media second up to which frames are passed over uncounted, where counts were brought
            along (a live file); None where the source does not give them again.
        index: position of the first frame that counts.
        begin: media second of the first frame that counts, where nothing is passed over.
        held, held_s: frames that the motion gate held back since the newest published one, and media seconds they
            last, where they do not come again.
    """

    published: int = 0
    last: int = -1
    behind: Fraction | None = None
    index: int = 0
    begin: Fraction = Fraction(0)
    held: int = 0
    held_s: Fraction = Fraction(0)


class Reading:
    """Reads one source to its end, or until told otherwise.

    Wall time of a live frame is the time it is captured; any other's is its place in the file.
    """

    def __init__(
        self,
        spec: StreamSpec,
        source: Source,
        ingest: Ingest,
        *,
        lane: Lane,
        ledger: Ledger,
        control: Control,
        resume: Resume,
        clock: Clock = wall_clock,
        monotonic: Callable[[], float] = time.monotonic,
        connections: Connections | None = None,
    ) -> None:
        self._spec = spec
        self._source = source
        self._lane = lane
        self._ledger = ledger
        self._control = control
        self._resume = resume
        self._clock = clock
        self._monotonic = monotonic
        self._ingest = ingest
        self._connections = connections or Once()
        self._shape = self._shape_of(source)
        self._timeline = Timeline(source.probe.frame_s, resume.begin)
        self._sampler = Sampler(spec.source.fps, spec.source.start_s, tolerance(source.probe.time_base))
        self._faces = needs_faces(spec.analytics)
        self._behind = None if resume.behind is None else Behind(resume.behind, source.probe.frame_s)
        self._gate = MotionGate.of(spec, source.probe)
        self._luma = Luma()
        self._held, self._held_s = resume.held, resume.held_s
        self._chosen_s: Fraction | None = None
        self._index = resume.index
        self._let_through = 0
        self._started: float | None = None
        self._came_at = monotonic()
        self._failed = False
        self._loops = spec.source.loop and is_local(spec.source.url)

    def run(self) -> None:
        """Read. Raises BrokerUnavailable."""
        for frame in self._all_frames():
            if self._control.order != "go" or self._failed:
                return
            self._control.beat += 1
            if (analytics := self._control.changed()) is not None:
                self.change(analytics)
            self._connections.came()
            stamp = self._stamp(frame)
            time_s = self._timeline.at(*stamp)
            if not self._sampler.wants(time_s):
                self._advance(stamp, time_s, read=False)
                continue
            new = self._index > self._resume.last
            if new and not self._paced(time_s):
                return
            try:
                image = frame.rgb() if self._lets(frame, time_s) else None
            except NotDecoded as error:
                if not error.again:  # its time passes all the same, whoever reads the file and from where
                    self._timeline.advance(*stamp)
                continue
            jpeg = self._shape.jpeg(image) if new and image is not None else None
            index = self._advance(stamp, time_s, read=True)
            if image is None:
                self._hold_back(time_s)
            elif jpeg is None:
                self._count_passed()
            else:
                self._lane.put(self._message(index, float(time_s), jpeg))
            self._chosen_s = time_s

    def change(self, analytics: tuple[Analytic, ...]) -> None:
        """From the next frame on the run has these. Raises BrokerUnavailable."""
        spec = self._spec
        self._faces = needs_faces(analytics)
        self._lane.change(AnalyticsChanged(spec.stream_id, spec.run, Seq(0), analytics, spec.ephemeral))

    def _lets(self, frame: Decoded, time_s: Fraction) -> bool:
        """Whether the motion gate lets the frame through. Raises NotDecoded."""
        return self._gate is None or self._gate.lets(frame.cells(self._luma), time_s)

    def _advance(self, stamp: Stamp, time_s: Fraction, *, read: bool) -> int:
        """The frame has come: count it. Its position among the decoded frames."""
        self._timeline.advance(*stamp)
        self._ledger.decoded(float(time_s), read=read)
        if read:
            self._sampler.chosen(time_s)
        index, self._index = self._index, self._index + 1
        return index

    def _hold_back(self, time_s: Fraction) -> None:
        """The gate holds a frame back: the next that is published says so."""
        self._held += 1
        if self._chosen_s is not None:
            self._held_s += time_s - self._chosen_s
        self._ledger.gated()

    def _count_passed(self) -> None:
        self._let_through += 1
        self._held, self._held_s = 0, Fraction(0)
        if self._let_through <= self._resume.published:
            self._ledger.published()
        else:
            self._ledger.dropped(Oversized)

    def _message(self, index: int, media_s: float, jpeg: bytes) -> Frame:
        spec = self._spec
        now = now_ms(self._clock)
        frame = Frame(
            stream_id=spec.stream_id,
            run=spec.run,
            seq=Seq(0),
            index=index,
            media_s=round(media_s, 6),
            ts_ms=now if spec.lane == "live" else spec.started_ms + round(media_s * 1000),
            width=self._shape.size.width,
            height=self._shape.size.height,
            jpeg=jpeg,
            model=spec.model,
            faces=self._faces,
            ephemeral=spec.ephemeral,
            published_ms=now,
        )
        held, held_s = self._held, round(float(self._held_s), 6)
        self._held, self._held_s = 0, Fraction(0)
        return replace(frame, held=held, held_s=held_s) if held else frame

    def _all_frames(self) -> Iterator[Decoded]:
        """The source's frames, again and again when it loops, without those to pass over."""
        while True:
            given = 0
            for frame in self._source.frames(self._note_problem, self._unneeded):
                given += 1
                if self._behind is not None:
                    if self._behind.passes(frame.pts):
                        self._control.beat += 1
                        continue
                    self._go_on(self._behind)
                yield frame
                if self._connections.shut and not self._rested():
                    break
            if self._reconnected():
                continue
            if not self._loops or not given or self._control.order != "go":
                return
            if self._behind is not None:
                self._behind.again()

    def _shape_of(self, source: Source) -> Shape:
        return Shape.of(source.probe, self._ingest, follows=source.times != "recorded")

    def _stamp(self, frame: Decoded) -> Stamp:
        """The frame's time, from where the definition takes it."""
        now = self._came_at = self._monotonic()
        came = Fraction(round(now * 1000), 1000)
        match self._spec.source.timestamps:
            case "dts":
                return Stamp(frame.dts, None)
            case "server":
                return Stamp(came, came)
            case "frame_rate":
                return Stamp(None, None)
            case "auto" if self._source.times == "missing":
                return Stamp(came, came)
            case "auto" if self._source.times == "live":
                return Stamp(frame.pts, came)
        return Stamp(frame.pts, None)

    def _rested(self) -> bool:
        """Outside of all hours: whether the source has waited; if not, it is to be left."""
        self._started = None
        return self._connections.rest()

    def _reconnected(self) -> bool:
        """Whether there is another connection to read on from."""
        source = None if self._failed else self._connections.again(self._source)
        if source is None:
            return False
        self._source = source
        self._shape = self._shape_of(source)
        self._timeline.gap(Fraction(round((self._monotonic() - self._came_at) * 1000), 1000), source.probe.frame_s)
        return True

    def _unneeded(self) -> Fraction | None:
        return None if self._behind is None else self._behind.unneeded()

    def _go_on(self, behind: Behind) -> None:
        """Time and sampling stand as they did behind the newest published frame."""
        self._behind = None
        self._timeline = Timeline(self._source.probe.frame_s, behind.next)
        if behind.last is not None:
            self._sampler.chosen(behind.last)

    def _note_problem(self, reason: str) -> None:
        self._ledger.problem(reason)
        self._failed = self._spec.source.on_error == "fail"

    def _paced(self, time_s: Fraction) -> bool:
        """Wait until the frame is due where a recording is played at its own pace; whether to go on."""
        recorded = is_local(self._spec.source.url) or self._source.times == "recorded"
        if not self._spec.source.realtime or not recorded:
            return True
        if self._started is None:
            self._started = self._monotonic() - float(time_s)
        while (early := self._started + float(time_s) - self._monotonic()) > 0:
            if not self._control.wait(min(early, 1.0)):
                return False
        return True

    @property
    def source(self) -> Source:
        """What is read now, or was last."""
        return self._source

    @property
    def video(self) -> VideoInfo:
        """The video as it was read."""
        counts = self._ledger.counts
        info = self._source.probe.info(self._source.decoder)
        return VideoInfo(
            width=info.width,
            height=info.height,
            fps=info.fps,
            frames=counts.decoded,
            duration_s=round(float(self._timeline.end), 3),
            rotation=info.rotation,
            codec=info.codec,
            decoder=info.decoder,
        )
