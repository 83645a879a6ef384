"""Write records until there is no more room; print how many were written and the error, then append once more."""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

from asyncbench.errors import OutputError
from asyncbench.results.lines import decode_line
from asyncbench.results.results_file import ResultsFile


def main():
    path, golden, limit_bytes = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    header, cell = (decode_line(line) for line in golden.read_bytes().splitlines()[:2])
    if limit_bytes:
        sys.dont_write_bytecode = True  # half of a module's would be kept, and taken for whole the next time
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, resource.RLIM_INFINITY))
    results = ResultsFile.create(path)
    finished = []
    try:
        results.append(header)
        finished.append("header")
        for index in range(10_000):
            results.append(cell.model_copy(update={"index": index}))
            finished.append(index)
    except OutputError as error:
        answer = {"finished": finished, "message": error.message, "remedy": error.remedy}
    if limit_bytes and finished:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        results.append(cell.model_copy(update={"index": len(finished) - 1}))
    answer["file"] = path.read_text() if path.exists() else None
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
