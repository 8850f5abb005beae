"""Reading along on Kafka: when each frame passed each topic."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from confluent_kafka import Consumer, TopicPartition

from core.ids import StreamId
from core.kafka import consumer
from core.messages import (
    Event,
    Frame,
    FrameDetections,
    FrameTracks,
    decode_detections,
    decode_event,
    decode_frames,
    decode_tracks,
)
from core.settings import Settings
from core.topics import Topics

FrameKey = tuple[StreamId, int]
Phase = tuple[str, int]
"""An event's id, and the number of its phase."""


@dataclass(slots=True)
class Passed:
    """Milliseconds, as the producers' clocks have it, at which frames were published, detected and tracked.

    Attributes:
        events: the frame that decided each phase of an event, and when the phase was published.
        told: when a socket's client had it.
    """

    frames: dict[FrameKey, int] = field(default_factory=dict)
    detections: dict[FrameKey, int] = field(default_factory=dict)
    tracks: dict[FrameKey, int] = field(default_factory=dict)
    events: dict[Phase, tuple[FrameKey, int]] = field(default_factory=dict)
    told: dict[Phase, int] = field(default_factory=dict)

    def to_detections(self) -> list[int]:
        """From a frame's publishing to its detections."""
        return [at - self.frames[key] for key, at in self.detections.items() if key in self.frames]

    def to_tracks(self) -> list[int]:
        """From its detections to its tracks."""
        return [at - self.detections[key] for key, at in self.tracks.items() if key in self.detections]

    def whole(self) -> list[int]:
        """From a frame's publishing to its tracks."""
        return [at - self.frames[key] for key, at in self.tracks.items() if key in self.frames]

    def to_events(self) -> list[int]:
        """From the deciding frame's publishing to the event."""
        return [at - self.frames[key] for key, at in self.events.values() if key in self.frames]

    def to_sockets(self) -> list[int]:
        """From the deciding frame's publishing to a socket's client."""
        decided = ((at, self.events[phase][0]) for phase, at in self.told.items() if phase in self.events)
        return [at - self.frames[key] for at, key in decided if key in self.frames]


class Follower:
    """Reads the live lane's topics from now on."""

    def __init__(self, settings: Settings) -> None:
        self._topics = Topics.of(settings.kafka)
        self._client: Consumer = consumer(settings.kafka, "bench", "bench")
        names = (self._topics.frames_live, self._topics.detections, self._topics.tracks, self._topics.events)
        places = [TopicPartition(name, p) for name in names for p in range(settings.kafka.partitions)]
        for place in places:
            place.offset = self._client.get_watermark_offsets(place, timeout=10)[1]
        self._client.assign(places)

    def follow(self, streams: Collection[StreamId], seconds: float) -> Passed:
        """What passes of these streams within so many seconds."""
        passed = Passed()
        wanted = {str(stream).encode() for stream in streams}
        for topic, value, at in self._records(wanted, time.monotonic() + seconds):
            if topic == self._topics.frames_live:
                frame = decode_frames(value)
                if isinstance(frame, Frame):
                    passed.frames[frame.stream_id, frame.seq] = at
            elif topic == self._topics.detections:
                seen = decode_detections(value)
                if isinstance(seen, FrameDetections):
                    passed.detections[seen.stream_id, seen.seq] = at
            elif topic == self._topics.tracks:
                tracked = decode_tracks(value)
                if isinstance(tracked, FrameTracks):
                    passed.tracks[tracked.stream_id, tracked.seq] = at
            else:
                event = decode_event(value)
                if isinstance(event, Event):
                    phase = (str(event.event_id), event.number)
                    passed.events.setdefault(phase, ((event.stream_id, event.seq), at))
        return passed

    def close(self) -> None:
        """Read no more."""
        self._client.close()

    def _records(self, wanted: Collection[bytes], until: float) -> Iterator[tuple[str, bytes, int]]:
        while (left := until - time.monotonic()) > 0:
            record = self._client.poll(min(left, 1.0))
            if record is None or record.error() is not None or record.key() not in wanted:
                continue
            topic, value = record.topic(), record.value()
            if topic is not None and value is not None:
                yield topic, value, record.timestamp()[1]
