"""Graphics cards of this machine, as NVIDIA's management library tells of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

from core.messages import Gpu

T = TypeVar("T")


def management_library() -> Any | None:
    """The library, ready to be asked; None without it, a driver or a card."""
    try:
        import pynvml  # noqa: PLC0415 - few machines have what it talks to
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    return pynvml


class Graphics:
    """The cards; none where the library cannot be had. What a card does not tell is None."""

    def __init__(self, library: Callable[[], Any | None] = management_library) -> None:
        self._nvml: Any | None = library()

    def cards(self, kind_of: Callable[[int], str]) -> tuple[Gpu, ...]:
        """Every card as it is now.

        Args:
            kind_of: what a process is called, by its id.
        """
        if self._nvml is None:
            return ()
        count = self._asked(self._nvml.nvmlDeviceGetCount) or 0
        found = (self._card(self._nvml, number, kind_of) for number in range(count))
        return tuple(card for card in found if card is not None)

    def _card(self, nvml: Any, number: int, kind_of: Callable[[int], str]) -> Gpu | None:
        card = self._asked(lambda: nvml.nvmlDeviceGetHandleByIndex(number))
        if card is None:  # it has fallen off the bus
            return None
        name = self._asked(lambda: nvml.nvmlDeviceGetName(card)) or ""
        memory = self._asked(lambda: nvml.nvmlDeviceGetMemoryInfo(card))
        rates = self._asked(lambda: nvml.nvmlDeviceGetUtilizationRates(card))
        processes = self._asked(lambda: nvml.nvmlDeviceGetComputeRunningProcesses(card)) or ()
        return Gpu(
            number=number,
            name=name.decode(errors="replace") if isinstance(name, bytes) else str(name),
            utilization=None if rates is None else int(rates.gpu),
            temperature=self._asked(lambda: int(nvml.nvmlDeviceGetTemperature(card, nvml.NVML_TEMPERATURE_GPU))),
            memory_total=None if memory is None else int(memory.total),
            memory_used=None if memory is None else int(memory.used),
            memory_free=None if memory is None else int(memory.free),
            services=dict(Counter(kind_of(int(process.pid)) for process in processes)),
        )

    def _asked(self, question: Callable[[], T]) -> T | None:
        """The answer; None where the card has none."""
        assert self._nvml is not None
        try:
            return question()
        except self._nvml.NVMLError:
            return None
