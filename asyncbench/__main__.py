"""`python -m asyncbench`."""

import sys

from asyncbench.cli.import_path import current_folder

# `-m` has put the current folder first, where the user's files would be taken for modules: see child_program. What is
# imported above was there before us, or is ours.
if sys.path and sys.path[0] == current_folder():
    del sys.path[0]

from asyncbench.cli.main import main  # the path comes first

if __name__ == "__main__":
    main()
