"""Random numbers of the run's own, apart from whatever the process or a callback draws."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor


class RandomStream:
    """The global generators of torch, numpy and Python, swapped in for a block and swapped out after it.

    Layers like dropout draw from global generators and cannot be given another one; so the run owns a copy
    of their state. Streams nest: evaluation inside training draws from its own and disturbs nothing.

    Args:
        seed: Two or more whole numbers that name the stream, for example (seed of the run, epoch).
        device: Device whose generator belongs to the stream too.

    >>> stream = RandomStream((1, 0), device=torch.device("cpu"))
    >>> with stream.active():
    ...     first = torch.rand(())
    >>> saved = stream.state()
    >>> with stream.active():
    ...     second = torch.rand(())
    >>> stream.load(saved)
    >>> with stream.active():
    ...     bool(torch.rand(()) == second)
    True
    """

    def __init__(self, seed: tuple[int, ...], *, device: torch.device) -> None:
        self._device = device
        self._active = False
        outer = _read(device)
        words = [int(w) for w in np.random.SeedSequence(seed).generate_state(3)]
        torch.default_generator.manual_seed(words[0])
        if device.type == "cuda":
            torch.cuda.manual_seed(words[0])
        elif device.type == "mps":
            torch.mps.manual_seed(words[0])
        np.random.seed(words[1])  # noqa: NPY002 - the legacy global state is the one users' code draws from
        random.seed(words[2])
        self._state = _read(device)
        _write(outer, device)

    @contextmanager
    def active(self) -> Iterator[None]:
        """Swaps the stream in; on leaving, it remembers where it stopped and the outer state is back."""
        outer = _read(self._device)
        _write(self._state, self._device)
        self._active = True
        try:
            yield
        finally:
            self._state = _read(self._device)
            self._active = False
            _write(outer, self._device)

    def state(self) -> dict[str, Tensor]:
        """Returns where the stream stands, as tensors on the CPU; also while it is active."""
        return _read(self._device) if self._active else dict(self._state)

    def mark(self) -> tuple[Tensor, ...]:
        """Returns where torch's own generators stand, cheaply, while the stream is active; see `rewind`."""
        if self._device.type == "cuda":
            return torch.default_generator.get_state(), torch.cuda.get_rng_state(self._device)
        if self._device.type == "mps":
            return torch.default_generator.get_state(), torch.mps.get_rng_state()
        return (torch.default_generator.get_state(),)

    def rewind(self, mark: tuple[Tensor, ...]) -> None:
        """Moves torch's generators back to a mark; those of numpy and Python stay where they are."""
        torch.default_generator.set_state(mark[0])
        if self._device.type == "cuda":
            torch.cuda.set_rng_state(mark[1], self._device)
        elif self._device.type == "mps":
            torch.mps.set_rng_state(mark[1])

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Moves the stream to a saved state, also while it is active.

        Raises:
            ValueError: The state comes from another kind of device.
        """
        if state.keys() != self._state.keys():
            raise ValueError(f"state: want the generators {sorted(self._state)}, got {sorted(state)}")
        self._state = dict(state)
        if self._active:
            _write(self._state, self._device)


def _read(device: torch.device) -> dict[str, Tensor]:
    state = {"torch": torch.default_generator.get_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    elif device.type == "mps":
        state["mps"] = torch.mps.get_rng_state()
    legacy = np.random.get_state(legacy=False)  # noqa: NPY002 - see above
    words = [*legacy["state"]["key"].tolist(), legacy["state"]["pos"], legacy["has_gauss"]]
    state["numpy"] = torch.tensor(words, dtype=torch.int64)
    state["numpy_gauss"] = torch.tensor(legacy["gauss"], dtype=torch.float64)
    _, key, gauss = random.getstate()
    state["python"] = torch.tensor([*key, gauss is not None], dtype=torch.int64)
    state["python_gauss"] = torch.tensor(0.0 if gauss is None else gauss, dtype=torch.float64)
    return state


def _write(state: Mapping[str, Tensor], device: torch.device) -> None:
    torch.default_generator.set_state(state["torch"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(state["cuda"], device)
    elif device.type == "mps":
        torch.mps.set_rng_state(state["mps"])
    *key, pos, has_gauss = state["numpy"].tolist()
    np.random.set_state(  # noqa: NPY002 - see above
        {
            "bit_generator": "MT19937",
            "state": {"key": np.array(key, dtype=np.uint32), "pos": pos},
            "has_gauss": has_gauss,
            "gauss": state["numpy_gauss"].item(),
        }
    )
    *words, drawn = state["python"].tolist()
    random.setstate((3, tuple(words), state["python_gauss"].item() if drawn else None))
