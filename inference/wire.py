"""How a call says on which lane it travels, and the limits both ends share."""

from __future__ import annotations

from core.messages import Lane

LANE_KEY = "sightline-lane"
"""gRPC metadata by which live frames go before those of files; other servers pass over it."""

MAX_MESSAGE_BYTES = 64 * 1024**2
CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
)


def lane_metadata(lane: Lane) -> tuple[tuple[str, str], ...]:
    """Metadata of a call on this lane."""
    return ((LANE_KEY, lane),)
