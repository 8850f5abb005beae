"""Where a listener stands: an offset for each partition, as a word that it can be given back as."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from core.errors import InvalidInput

EARLIEST: Final = "earliest"
"""Instead of a token: from the first event that is kept."""

_ONE = re.compile(r"p(?P<partition>[0-9]{1,5}):(?P<offset>[0-9]{1,18})")


def token_of(positions: Mapping[int, int]) -> str:
    """The token of these positions, each the offset of the next record.

    >>> token_of({1: 20, 0: 7})
    'p0:7,p1:20'
    """
    return ",".join(f"p{partition}:{offset}" for partition, offset in sorted(positions.items()))


def positions_of(token: str, partitions: int) -> dict[int, int]:
    """The positions that a token names.

    Args:
        partitions: how many there are.

    Raises:
        InvalidInput: it is no token of this service.
    """
    found: dict[int, int] = {}
    for part in token.split(","):
        one = _ONE.fullmatch(part)
        if one is None or int(one["partition"]) >= partitions:
            raise InvalidInput(f"it is the offset of a message, such as p0:7,p1:20, or {EARLIEST}", "from")
        found[int(one["partition"])] = int(one["offset"])
    return found
