"""Secrets: random, told by what they begin with, and kept as their hashes."""

from __future__ import annotations

import hashlib
import re

from core.scopes import SCOPES
from core.secrets import hash_secret, new_access_key, new_secret


def test_a_secret_has_256_random_bits_behind_its_mark() -> None:
    made = {new_secret("slt_") for _ in range(100)}
    assert len(made) == 100
    assert all(re.fullmatch(r"slt_[A-Za-z0-9_-]{43}", secret) for secret in made)


def test_what_is_kept_is_the_sha_256() -> None:
    assert hash_secret("é") == hashlib.sha256("é".encode()).hexdigest()
    assert hash_secret("a") != hash_secret("b")


def test_an_access_key_can_be_read_aloud() -> None:
    made = {new_access_key() for _ in range(100)}
    assert len(made) == 100
    assert all(re.fullmatch(r"AKID(-[A-HJ-NP-Z2-9]{4}){3}", key) for key in made)


def test_a_scope_is_a_word() -> None:
    assert all(re.fullmatch(r"[a-z]+", scope) for scope in SCOPES)
