"""Vectors for a search: clustered around real embeddings, each with a place in a stream and in time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
"""``float32[N, D]``, rows of length 1."""

DIMENSION = 512
NOISE = 0.02
"""Of each number; vectors of a cluster have a cosine of some 0.9 to its middle."""

STREAMS = 50
STEP_MS = 1000
PART = 100_000


def centres(real: Sequence[Sequence[float]], seed: int = 1) -> Vectors:
    """Real embeddings brought to `DIMENSION` by a random rotation, the first of its axes; random ones when none."""
    chance = np.random.default_rng(seed)
    if not len(real):
        return unit(chance.standard_normal((300, DIMENSION)))
    given = np.asarray(real, dtype=np.float32)
    axes, _ = np.linalg.qr(chance.standard_normal((given.shape[1], DIMENSION)))
    return unit(given @ axes)


def around(middles: Vectors, count: int, seed: int) -> Vectors:
    """So many vectors, each around a random one of `middles`."""
    chance = np.random.default_rng(seed)
    made = np.empty((count, middles.shape[1]), dtype=np.float32)
    for at in range(0, count, PART):
        part = made[at : at + PART]
        chosen = middles[chance.integers(len(middles), size=len(part))]
        part[:] = unit(chosen + NOISE * chance.standard_normal(part.shape, dtype=np.float32))
    return made


def unit(vectors: npt.ArrayLike) -> Vectors:
    """Rows brought to length 1."""
    rows = np.asarray(vectors, dtype=np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def kept_by_filter(count: int) -> npt.NDArray[np.bool_]:
    """Which rows the filter lets through: a tenth of the streams, the later half of the time."""
    rows = np.arange(count)
    return np.asarray((rows % STREAMS < STREAMS // 10) & (rows >= count // 2))


def nearest(vectors: Vectors, queries: Vectors, limit: int, allowed: npt.NDArray[np.bool_] | None) -> list[list[int]]:
    """The truth: rows with the highest cosine, the highest first."""
    best = np.full((len(queries), limit), -np.inf, dtype=np.float32)
    rows = np.zeros((len(queries), limit), dtype=np.int64)
    for at in range(0, len(vectors), PART):
        likeness = queries @ vectors[at : at + PART].T
        if allowed is not None:
            likeness[:, ~allowed[at : at + PART]] = -np.inf
        scores = np.concatenate([best, likeness], axis=1)
        numbers = np.concatenate([rows, np.broadcast_to(np.arange(at, at + likeness.shape[1]), likeness.shape)], axis=1)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :limit]
        best, rows = np.take_along_axis(scores, order, 1), np.take_along_axis(numbers, order, 1)
    found: list[list[int]] = rows.tolist()
    return found


def recall(found: Sequence[Sequence[int]], truth: Sequence[Sequence[int]]) -> float:
    """Part of the true neighbours that was found."""
    hits = sum(len(set(mine) & set(true)) for mine, true in zip(found, truth, strict=True))
    return hits / sum(len(true) for true in truth)
