"""Kill a writing process again and again, and print what each left as one JSON line.

A process of its own, without threads, so that it may fork: a kill then costs no start of an interpreter.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from asyncbench.results.lines import decode_line
from asyncbench.results.reader import read_results
from asyncbench.results.results_file import ResultsFile

LONGEST_LIFE_S = 0.04


def write_until_killed(path, header, cell, acknowledge_fd):
    results = ResultsFile.create(path)
    results.append(header)
    index = 0
    while True:
        os.write(acknowledge_fd, b".")
        results.append(cell.model_copy(update={"index": index}))
        index += 1


def kill_one(path, header, cell, life_s):
    """Return how many records the writer had finished when it died, and what is in its file."""
    acknowledged_fd, acknowledge_fd = os.pipe()
    child = os.fork()
    if child == 0:
        write_until_killed(path, header, cell, acknowledge_fd)
    os.close(acknowledge_fd)
    acknowledged = os.read(acknowledged_fd, 1)  # the header is on disk
    time.sleep(life_s)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while more := os.read(acknowledged_fd, 65_536):
        acknowledged += more
    os.close(acknowledged_fd)
    read = read_results(path, allow_torn=True)
    return {"finished": len(acknowledged) - 1, "read": sorted(read.cells), "torn_bytes": read.torn_bytes}


def main():
    folder, golden, kills, seed = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    header, cell = (decode_line(line) for line in golden.read_bytes().splitlines()[:2])
    lives = random.Random(seed)  # noqa: S311 # a seed makes a failure repeatable
    for number in range(kills):
        left = kill_one(folder / f"{number}.jsonl", header, cell, lives.uniform(0, LONGEST_LIFE_S))
        sys.stdout.write(json.dumps(left) + "\n")


if __name__ == "__main__":
    main()
