"""`python -m gradnerve`: the same as `gradnerve`."""

import sys

from gradnerve.cli import main

if __name__ == "__main__":
    sys.exit(main())
