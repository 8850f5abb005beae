"""From what a listener hears to the messages of a surface, ending with the reason why nothing more comes."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from weakref import WeakKeyDictionary

import msgspec

from core.errors import Conflict, InvalidInput, NotFound, TransientError
from core.ids import StreamId
from core.log import mask
from core.messages import Event, Notification, RunEnd, StreamStatus
from query_api.pool import Pool
from query_api.refusals import Gone
from query_api.services.watchable import Watchable, refusal_of
from query_api.types.watching import AgentMessage, EngineSocketParams, NotificationMessage
from query_api.watching.channel import Over, State, Subscription, Told
from query_api.watching.envelopes import agent_message, agent_state, engine_event, logic_of, notification_message
from query_api.watching.listening import Listening
from warehouse.control.rows import StreamRow
from warehouse.media import MediaStore

MOST_PICTURE = 2 * 1024**2
Texts = AsyncGenerator[tuple[str, str], None]
"""Messages, each with its offset; ends by raising why."""


class EngineTelling:
    """Tells the engine surface's sockets; each message is made once, however many are told it."""

    def __init__(self, listening: Listening, watchable: Watchable, pool: Pool, media: MediaStore) -> None:
        self._listening = listening
        self._watchable = watchable
        self._pool = pool
        self._media = media
        self._made: WeakKeyDictionary[Told, asyncio.Future[str | None]] = WeakKeyDictionary()

    async def texts(self, subscription: Subscription, params: EngineSocketParams, analytic: str | None) -> Texts:
        """The events that are asked for.

        Raises:
            NotFound, Conflict, Gone: the stream is not there, stopped, over or has failed.
            Exception: as `Listening.listen`.
        """
        wanted = _wanted(params, analytic)
        stream = subscription.stream
        async with aclosing(self._listening.listen(subscription, params.from_)) as items:
            async for item in items:
                if isinstance(item, Told):
                    text = await self._text(item) if isinstance(item.said, Event) and wanted(item.said) else None
                    if text is not None:
                        yield text, item.offset
                elif stream is not None and (item is None or isinstance(item, Over)):
                    await refuse_what_is_over(self._watchable, stream, None if item is None else item.end)

    async def _text(self, told: Told) -> str | None:
        """The message; None of a stream that this surface does not show."""
        making = self._made.get(told)
        if making is None:
            making = self._made[told] = asyncio.ensure_future(self._make(told))
        return await asyncio.shield(making)

    async def _make(self, told: Told) -> str | None:
        event = told.said
        assert isinstance(event, Event)
        try:
            row = await self._watchable.stream(event.stream_id)
        except NotFound:
            return None
        if row.spec.task or row.spec.ephemeral:
            return None
        picture = await self._picture(event.image)
        return msgspec.json.encode(engine_event(event, row, told.offset, picture)).decode()

    async def _picture(self, key: str | None) -> str | None:
        """The event's picture in base64; None when there is none, or not yet."""
        if key is None:
            return None
        try:
            picture = await self._pool.run(self._media.get, key)
        except (NotFound, InvalidInput, TransientError):
            return None
        return base64.b64encode(picture).decode() if len(picture) <= MOST_PICTURE else None


class AgentTelling:
    """Tells the agent surface's sockets."""

    def __init__(self, listening: Listening, watchable: Watchable) -> None:
        self._listening = listening
        self._watchable = watchable

    async def texts(self, subscription: Subscription, row: StreamRow, index: int, since: str | None) -> Texts:
        """How the stream stands, each change of it, and the events of one analytic. Raises as the engine's."""
        stream, offset = row.stream_id, ""
        standing = agent_state(row, index)
        yield _json(standing), ""
        async with aclosing(self._listening.listen(subscription, since)) as items:
            async for item in items:
                match item:
                    case Told(said=Event() as event) if event.analytic_index == index:
                        offset = item.offset
                        row = await self._watchable.stream(stream)
                        yield _json(agent_message(event, row, standing, offset)), offset
                    case State():
                        before, standing = standing, _standing(item.status, index, offset)
                        if (before.stream_status, before.error) != (standing.stream_status, standing.error):
                            self._watchable.forget(stream)
                            yield _json(standing), offset
                    case Over():
                        await refuse_what_is_over(self._watchable, stream, item.end)
                    case None:
                        await refuse_what_is_over(self._watchable, stream, None)


class NotificationTelling:
    """Tells what callbacks of the type ``luna-ws-notification`` tell."""

    def __init__(self, listening: Listening, watchable: Watchable) -> None:
        self._listening = listening
        self._watchable = watchable

    async def texts(self, subscription: Subscription, account: str | None, since: str | None) -> Texts:
        """Those of an account, or of all accounts.

        Raises:
            NotFound: the stream that is listened to has been deleted.
            Exception: as `Listening.listen`.
        """
        async with aclosing(self._listening.listen(subscription, since)) as items:
            async for item in items:
                match item:
                    case Told(said=Notification() as told) if account is None or told.account_id == account:
                        yield _json(notification_message(told, item.offset)), item.offset
                    case None if subscription.stream is not None:
                        with suppress(TransientError):  # it will be looked at again
                            await self._watchable.stream(subscription.stream)


async def refuse_what_is_over(watchable: Watchable, stream: StreamId, end: RunEnd | None) -> None:
    """Say so when nothing more will come of a stream.

    Args:
        end: of a run whose events have all been told; None looks only at how the stream stands.

    Raises:
        NotFound, Conflict, Gone: the stream is not there, stopped, over or has failed.
    """
    if end is not None:
        watchable.forget(stream)
    try:
        row = await watchable.stream(stream)
    except TransientError:  # it will be looked at again
        return
    if end is not None and end.run == row.spec.run:
        if end.state == "done":
            raise Gone("stream has ended")
        if end.state == "stop":
            raise Conflict("stream is stopped")
    refusal = refusal_of(row)
    if refusal is not None and (end is None or end.run == row.spec.run):
        raise refusal


def _wanted(params: EngineSocketParams, analytic: str | None) -> Callable[[Event], bool]:
    def wanted(event: Event) -> bool:
        return (
            (analytic is None or event.type == analytic)
            and (not params.phases or event.phase in params.phases)
            and (params.logic is None or logic_of(event) == params.logic)
        )

    return wanted


def _standing(status: StreamStatus, index: int, offset: str) -> AgentMessage:
    """How the stream stands for one of its analytics, which may be outside of its hours."""
    paused = status.state == "in_progress" and index in status.paused
    return AgentMessage("paused" if paused else status.state, mask(status.error or ""), {}, offset)


def _json(message: AgentMessage | NotificationMessage) -> str:
    return msgspec.json.encode(message).decode()
