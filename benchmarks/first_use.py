"""How long numba compiles in a fresh environment: CPU seconds until each thing has been done once.

python benchmarks/first_use.py
"""

import os
import subprocess
import sys
import tempfile

CODE = """
import time
from moola_data.features import compute_features
from moola_data.sample import load_sample
from moola_data.synthetic import benchmark
bars = load_sample()
for name, what in (("origin", lambda: compute_features(bars, "origin")),
                   ("jade", lambda: compute_features(bars, "jade")),
                   ("synthetic benchmark", lambda: benchmark(1, seed=0))):
    what()
    print(f"{name}: {time.process_time():.1f} s of CPU since Python began", flush=True)
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as cache:
        for words in ("nothing compiled yet", "again"):
            print(words)
            environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
            subprocess.run([sys.executable, "-c", CODE], env=environment, check=True)


if __name__ == "__main__":
    main()
