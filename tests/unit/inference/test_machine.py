from __future__ import annotations

from pathlib import Path

import pytest

from inference.server.machine import has_bfloat16


@pytest.mark.parametrize(
    ("flags", "expected"),
    [("fpu avx2 fma", False), ("fpu avx512_bf16 avx2", True), ("amx_tile amx_bf16", True), ("xavx512_bf16", False)],
)
def test_bfloat16_by_the_processors_own_flags(tmp_path: Path, flags: str, expected: bool) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text(f"processor\t: 0\nmodel name\t: amx_bf16\nflags\t\t: {flags}\nbugs\t\t: none\n")
    assert has_bfloat16(path) is expected


def test_an_unknown_machine_has_none(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert not has_bfloat16(tmp_path / "empty")
    assert not has_bfloat16(tmp_path / "missing")
