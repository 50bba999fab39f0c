"""`python -m plumbline_training.render`."""

import sys

from plumbline_training.render.cli import main

if __name__ == "__main__":
    sys.exit(main())
