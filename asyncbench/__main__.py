"""`python -m asyncbench`."""

from asyncbench.cli.main import main

if __name__ == "__main__":
    main()
