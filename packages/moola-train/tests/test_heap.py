import json
import os
import platform
import subprocess
import sys

import pytest
import torch

from moola_train import Examples, FitConfig, Task, fit

FAULTS = """
import json, resource, sys
import torch
from moola_train import Examples, FitConfig, Task, fit
from moola_train.heap import keep_heap

def faults():
    # Freed in the order of a backward pass: the last one first, so that the heap's end is free each time.
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        held = [torch.ones(500_000) for _ in range(8)]
        while held:
            held.pop()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

told = None
if sys.argv[1] == "told":
    told = keep_heap()
else:
    x = torch.randn(8, 3)
    task = Task("y", lambda o, t, m, w: (((o - t) ** 2 * w).sum(), w.sum()))
    class Model(torch.nn.Linear):
        def forward(self, inputs):
            return {"y": super().forward(inputs)[:, 0]}
    config = FitConfig(epochs=1, batch_size=4, device="cpu")
    fit(Model(3, 1), Examples(x, {"y": torch.zeros(8)}), [task], None, config)
faults()  # the heap grows to what it needs
print(json.dumps([told, faults()]))
"""


class Named(torch.nn.Linear):
    def __init__(self):
        super().__init__(3, 1)

    def forward(self, inputs):
        return {"y": super().forward(inputs)}


GLIBC = platform.libc_ver()[0] == "glibc"


def asked(how, **variables):
    ours = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_"))}
    done = subprocess.run(
        [sys.executable, "-c", FAULTS, how],
        env={**ours, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.skipif(not GLIBC, reason="another C library has no such setting")
def test_kept_memory_is_not_fetched_from_the_system_again():
    told, few = asked("told")
    assert told is True
    assert few < 100
    assert asked("fit")[1] < 100


@pytest.mark.parametrize("kept", [True, False])
def test_fit_asks_for_it_unless_told_not_to(kept, monkeypatch):
    asked_for = []
    monkeypatch.setattr(sys.modules["moola_train.fit"], "keep_heap", lambda: asked_for.append(True))
    task = Task("y", lambda o, t, m, w: (((o[:, 0] - t) ** 2 * w).sum(), w.sum()))
    data = Examples(torch.ones(4, 3), {"y": torch.zeros(4)})
    fit(Named(), data, [task], None, FitConfig(epochs=1, keep_heap=kept, device="cpu"))
    assert asked_for == [True] * kept


def test_an_environment_that_manages_memory_is_respected():
    assert asked("told", MALLOC_TRIM_THRESHOLD_="131072")[0] is False
    assert asked("told", GLIBC_TUNABLES="glibc.malloc.arena_max=2")[0] is False


IN_A_THREAD = """
import ctypes, json, resource, threading
import numpy as np
from moola_train.heap import keep_heap

told = keep_heap()
found = []

def work():
    for _ in range(6):
        held = [np.ones(2_500_000 // 8) for _ in range(40)]  # 100 MB: more than one heap of a thread
        held.clear()
        found.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)

thread = threading.Thread(target=work)
thread.start()
thread.join()
print(json.dumps([told, found[-1] - found[1]]))
"""


@pytest.mark.skipif(not GLIBC, reason="another C library has no such setting")
def test_a_threads_heap_stays_with_the_process_too():
    ours = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_"))}
    done = subprocess.run(
        [sys.executable, "-c", IN_A_THREAD], env=ours, capture_output=True, text=True, check=True
    )
    told, faults = json.loads(done.stdout)
    assert told
    assert faults < 1000  # 4 rounds of 24,000 pages where the heap goes back
