"""luna-ws-notification callbacks: to the topic `notifications`, for whoever listens at a WebSocket."""

from __future__ import annotations

from core.messages import Notification, encode_json
from core.metrics import counter
from streams_proc.notify.notices import Notice
from streams_proc.publish import Publisher, Tally
from streams_proc.stage import Output


class Notifications:
    """Publishes to our own broker, which is waited for as long as it takes."""

    def __init__(self, publisher: Publisher, topic: str) -> None:
        self._publisher = publisher
        self._topic = topic

    async def publish(self, notice: Notice) -> None:
        """Return once the broker has it. A task's end is told by no such callback."""
        assert notice.kind != "task"
        told = Notification(
            stream_id=notice.stream_id,
            run=notice.run,
            notification_id=notice.ce_id,
            kind=notice.kind,
            ts_ms=notice.ts_ms,
            account_id=notice.account_id,
            analytic_index=notice.analytic_index,
            body=notice.body,
        )
        tally = Tally()
        key, headers = str(notice.stream_id).encode(), {"ce_id": notice.ce_id.encode()}
        await self._publisher.send(Output(self._topic, key, encode_json(told), headers), tally)
        await tally.confirmed()
        counter("sightline_callbacks_total").labels("luna-ws-notification", "delivered").inc()
