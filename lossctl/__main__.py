"""Run the command as ``python -m lossctl``."""

import sys

from lossctl.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
