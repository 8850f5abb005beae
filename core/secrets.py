"""Random secrets, and the form in which they are kept.

A secret that is made here has 256 random bits, and what is kept of it is its SHA-256. A slow hash (bcrypt, Argon2)
makes each guess dear, which protects what a person chose out of few possibilities; nobody guesses one of 2**256,
and a slow hash would only make every request dear. So: never for a password that somebody has chosen.
"""

from __future__ import annotations

import hashlib
import secrets

BYTES = 32
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""Of keys that people read to each other: nothing that looks like something else."""


def new_secret(mark: str = "") -> str:
    """A secret of 256 random bits as URL-safe text, 43 letters behind `mark`, which says what it is."""
    return mark + secrets.token_urlsafe(BYTES)


def hash_secret(secret: str) -> str:
    """What is kept of a secret: its SHA-256, 64 hex digits. The same secret always has the same."""
    return hashlib.sha256(secret.encode()).hexdigest()


def new_access_key() -> str:
    """The public half of a key pair, by which it is found: ``AKID-XXXX-XXXX-XXXX``, 60 random bits."""
    return "-".join(["AKID", *("".join(secrets.choice(LETTERS) for _ in range(4)) for _ in range(3))])
