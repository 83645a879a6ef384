"""`python -m asyncbench`."""

import os
import sys

# `-m` has put the current folder first, where the user's files would be taken for modules: see child_program. What is
# imported above was there before us.
if sys.path and sys.path[0] == os.getcwd():  # noqa: PTH109 # pathlib is not imported yet, and may be a file of the user
    del sys.path[0]

from asyncbench.cli.main import main  # the path comes first

if __name__ == "__main__":
    main()
