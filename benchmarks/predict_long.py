"""Marks a long file and says how long it took and how much memory, beside the file's feature matrix.

Run it where the workspace is installed: ``python benchmarks/predict_long.py 2000000``. Memory is the
process's peak above what it had after imports, the network and a small file: bars, answers, marks all count.
"""

import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "sides"))
from predict_bars import bars, detector


def mib(pages: int) -> float:
    return pages * resource.getpagesize() / 2**20


def main() -> None:
    n = int(sys.argv[1])
    ready = detector()
    ready.mark(bars(60_000))
    before = mib(int(Path("/proc/self/statm").read_text().split()[1]))
    file = bars(n)
    begin = time.perf_counter()
    marks = ready.mark(file)
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before
    matrix = n * len(ready.features.features) * 4 / 2**20
    held = sum(
        getattr(file, name).nbytes
        for name in type(file).model_fields
        if hasattr(getattr(file, name), "nbytes")
    )
    print(f"{n:,} bars, {len(marks.spans):,} spans: {seconds:.1f} s, {n / seconds:,.0f} bars a second")
    print(
        f"peak {peak:.0f} MiB above {before:.0f}: {peak / matrix:.2f} times the features' {matrix:.0f} MiB; "
        f"the bars alone are {held / 2**20:.0f} MiB"
    )


if __name__ == "__main__":
    main()
