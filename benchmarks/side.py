"""Serves one side of a claim: prepares once, then runs and times `once` for every line on standard input."""

import importlib.metadata
import json
import resource
import runpy
import sys
import time

script = runpy.run_path(sys.argv[1])
state = script["prepare"]()
versions = {name: importlib.metadata.version(name) for name in script["VERSIONS"]}
print(json.dumps({"ready": True, "versions": versions}), flush=True)
for _ in sys.stdin:
    begin = time.perf_counter()
    script["once"](state)
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "peak_mib": peak}), flush=True)
