"""telegram callbacks: a message to a chat, by a bot."""

from __future__ import annotations

import msgspec

from core.pinned import PinnedHttp
from core.profile import TelegramCallback
from streams_proc.notify.notices import Notice
from streams_proc.notify.post import AGENT, ask


class Telegram:
    """Makes telegram callbacks.

    Args:
        base: where bots are asked.
    """

    def __init__(self, http: PinnedHttp, base: str) -> None:
        self._http = http
        self._base = base.rstrip("/")

    async def send(self, callback: TelegramCallback, notice: Notice, timeout_s: float) -> None:
        """Send the notice as a line of text; the bot's token is in the URL alone. Raises Unreachable, Refused."""
        body = msgspec.json.encode({"chat_id": callback.chat_id, "text": text(notice)})
        headers = {"Content-Type": "application/json", "User-Agent": AGENT}
        await ask(self._http, f"{self._base}/bot{callback.token}/sendMessage", body, headers, timeout_s)


def text(notice: Notice) -> str:
    """What people read of a task's end."""
    told = notice.body
    why = f": {told['error']}" if told.get("error") else ""
    where = told["result_url"] if told["status_name"] == "done" else told["url"]
    return f"Task {told['task_id']} is {told['status_name']}{why}\n{where}"[:4096]
