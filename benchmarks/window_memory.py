"""Resident memory that a shuffled epoch of windows adds to the feature matrix it reads. Linux.

python benchmarks/window_memory.py
"""

import gc
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "sides"))
from windows_moola import once, prepare


def status(name: str) -> float:
    """A figure of the kernel's about this process, in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) / 1024


def main() -> None:
    features = prepare()
    once(features[:2000])
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # forget the highest mark so far
    before = status("VmRSS")
    once(features)
    size = features.nbytes / 2**20
    times = 1 + (status("VmHWM") - before) / size
    print(f"features {size:.1f} MiB; with an epoch over them {times:.2f} times that")


if __name__ == "__main__":
    main()
