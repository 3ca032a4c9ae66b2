"""`python -m gradstat`. Python puts the current folder first on its path; nothing is imported from there."""

import sys

if not sys.flags.safe_path:
    del sys.path[0]

from gradstat.cli import main

main()
