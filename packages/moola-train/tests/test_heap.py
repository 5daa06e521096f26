import json
import os
import platform
import subprocess
import sys

import pytest

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
elif sys.argv[1].startswith("fit"):
    x = torch.randn(8, 3)
    task = Task("y", lambda o, t, m, w: (((o - t) ** 2 * w).sum(), w.sum()))
    class Model(torch.nn.Linear):
        def forward(self, inputs):
            return {"y": super().forward(inputs)[:, 0]}
    config = FitConfig(epochs=1, batch_size=4, keep_heap=sys.argv[1] == "fit")
    fit(Model(3, 1), Examples(x, {"y": torch.zeros(8)}), [task], None, config)
faults()  # the heap grows to what it needs
print(json.dumps([told, faults()]))
"""
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


@pytest.mark.skipif(not GLIBC, reason="another C library has no such setting")
def test_fit_leaves_the_heap_alone_if_asked():
    assert asked("fit, left alone")[1] > 5_000


def test_an_environment_that_manages_memory_is_respected():
    assert asked("told", MALLOC_TRIM_THRESHOLD_="131072")[0] is False
    assert asked("told", GLIBC_TUNABLES="glibc.malloc.arena_max=2")[0] is False
