"""The command `iii-trio`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line, and exit with its code."""
    try:
        from iii_trio._cli.app import app
    except ModuleNotFoundError as error:
        if error.name != "cyclopts":
            raise
        print("iii-trio: the command line needs an extra: pip install iii-trio[cli]", file=sys.stderr)
        sys.exit(2)
    sys.exit(app(sys.argv[1:]))
