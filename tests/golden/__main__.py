"""`python -m tests.golden`: adds what was released since, and never touches what is there."""

import sys

from tests.golden.make import add_missing

if __name__ == "__main__":
    for each in add_missing():
        sys.stdout.write(f"{each}\n")
