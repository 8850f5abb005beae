"""What the pipeline would find in a video, published, or stored, for a stream."""

from __future__ import annotations

from collections.abc import Iterator

from core.ids import Run, Seq, TrackId, event_id
from core.kafka import producer
from core.messages import (
    Detection,
    Event,
    FrameDetections,
    FrameTracks,
    IngestCounts,
    Place,
    RunBegin,
    RunEnd,
    StreamProblem,
    StreamSpec,
    StreamStatus,
    TrackedBox,
    VideoInfo,
    encode_json,
)
from core.settings import Kafka
from core.topics import Topics
from warehouse.analytics import AnalyticsStore
from warehouse.control import ControlStore
from warehouse.control.receipts import EXPECTED

FRAMES = 12
VIDEO = VideoInfo(width=640, height=360, fps=25.0, frames=30, duration_s=1.2)
COUNTS = IngestCounts(decoded=30, sampled_out=30 - FRAMES, read=FRAMES, published=FRAMES)
PROBLEMS = (StreamProblem(20, 0.8, "damaged packet"),)


def box(seq: int) -> tuple[float, float, float, float]:
    return (round(0.1 + 0.03333 * seq, 5), 0.2, round(0.3 + 0.03333 * seq, 5), 0.41237)


class Analysed:
    """One run's messages; frame 5 could not be analysed."""

    def __init__(self, spec: StreamSpec) -> None:
        self.spec = spec
        self.end = RunEnd(spec.stream_id, spec.run, "done", COUNTS, spec.started_ms + 1200, VIDEO, PROBLEMS,
                          ephemeral=spec.ephemeral)  # fmt: skip

    def _place(self, seq: int) -> dict[str, object]:
        media = round(seq * 0.1, 3)
        return {
            "stream_id": self.spec.stream_id, "run": self.spec.run, "seq": Seq(seq), "index": seq * 2,
            "media_s": media, "ts_ms": self.spec.started_ms + int(media * 1000), "width": 640, "height": 360,
            "ephemeral": self.spec.ephemeral,
        }  # fmt: skip

    def detections(self) -> list[FrameDetections]:
        return [
            FrameDetections(
                **self._place(seq),
                model="m",
                model_version=1,
                place=Place("frames.batch", 0, seq),
                objects=() if seq == 5 else (Detection("car", 0.87654, box(seq)),),
                error="no JPEG" if seq == 5 else None,
            )
            for seq in range(FRAMES)
        ]

    def tracks(self) -> list[FrameTracks]:
        def boxes(seq: int) -> tuple[TrackedBox, ...]:
            return () if seq in {0, 5} else (TrackedBox(TrackId(1), "car", 0.87654, box(seq), detection=0),)

        return [FrameTracks(**self._place(seq), tracks=boxes(seq)) for seq in range(FRAMES)]

    def events(self) -> Iterator[Event]:
        spec = self.spec
        common = {
            "event_id": event_id(spec.stream_id, Run(1), 0, 1), "stream_id": spec.stream_id, "run": spec.run,
            "analytic_index": 0, "type": "object_detection", "event_type": "object", "label": "car",
            "begin_ms": spec.started_ms + 100, "begin_s": 0.1, "begin_seq": Seq(1), "track_id": TrackId(1),
            "score": 0.87654, "box": box(1), "data": {"note": [1, 2.5, None]}, "ephemeral": spec.ephemeral,
        }  # fmt: skip
        yield Event(**common, phase="begin", number=0, seq=Seq(1), ts_ms=spec.started_ms + 100)
        yield Event(
            **common, phase="end", number=1, seq=Seq(11), ts_ms=spec.started_ms + 1100,
            end_ms=spec.started_ms + 1100, end_s=1.1, end_seq=Seq(11),
        )  # fmt: skip

    def publish(self, kafka: Kafka) -> None:
        """As detect and analyse do, the first frames twice."""
        names, out, key = Topics.of(kafka), producer(kafka, "test"), str(self.spec.stream_id).encode()
        begin = RunBegin(self.spec.stream_id, self.spec.run, self.spec, VIDEO)
        for topic, messages in (
            (names.detections, [begin, *self.detections()[:3], *self.detections(), self.end]),
            (names.tracks, [begin, *self.tracks()[:3], *self.tracks(), self.end]),
            (names.events, [*self.events(), self.end]),
        ):
            for message in messages:
                out.produce(topic, encode_json(message), key)
        out.flush(30)

    def store(self, analytics: AnalyticsStore, control: ControlStore) -> None:
        """As the sinks and the control process do."""
        analytics.write_frames(self.detections())
        analytics.write_tracks(self.tracks())
        analytics.write_events(list(self.events()))
        begun = StreamStatus(self.spec.stream_id, self.spec.run, "in_progress", self.spec.started_ms, "h")
        control.record_status(begun)
        control.record_status(
            StreamStatus(self.spec.stream_id, self.spec.run, "done", self.spec.started_ms + 2000, "h", COUNTS,
                         problems=PROBLEMS, video=VIDEO)
        )  # fmt: skip
        for sink, topic in EXPECTED:
            control.record_receipt(self.spec.stream_id, self.spec.run, sink, topic)
