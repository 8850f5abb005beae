"""Pictures that a model server may have died of.

A server that dies takes down every request it was answering, so that one picture which kills it would do so again and
again, whoever asks. Who was there at several deaths is therefore asked about alone; who was alone at several more is
bad. A server that is ended from outside now and then condemns nobody: its pictures are answered by the next.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

TOGETHER = 2
"""Deaths after which a picture is asked about alone."""

ALONE = 3
"""Deaths while it was asked about alone, after which it is bad."""

REMEMBERED = 1000


@dataclass(slots=True)
class Deaths:
    """How often a server has died while it had the picture, and how often while it was asked about alone."""

    all: int = 0
    alone: int = 0


class Suspects:
    """What is known of the pictures that were being looked at when a server died."""

    def __init__(self) -> None:
        self._deaths: OrderedDict[bytes, Deaths] = OrderedDict()

    def died(self, images: Sequence[bytes], *, alone: bool) -> None:
        """A server died while it was asked about these."""
        for image in images:
            deaths = self._deaths.setdefault(_key(image), Deaths())
            deaths.all += 1
            deaths.alone += alone
        while len(self._deaths) > REMEMBERED:
            self._deaths.popitem(last=False)

    def answered(self, images: Sequence[bytes]) -> None:
        """A server has answered for these; nothing is held against them."""
        if self._deaths:
            for image in images:
                self._deaths.pop(_key(image), None)

    def any(self, images: Sequence[bytes]) -> bool:
        """Whether one of them is to be asked about alone."""
        return bool(self._deaths) and any(self._of(image).all >= TOGETHER for image in images)

    def guilty(self, image: bytes) -> bool:
        """Whether servers die of it."""
        return bool(self._deaths) and self._of(image).alone >= ALONE

    def _of(self, image: bytes) -> Deaths:
        return self._deaths.get(_key(image), Deaths())


def _key(image: bytes) -> bytes:
    return hashlib.blake2b(image, digest_size=16).digest()
