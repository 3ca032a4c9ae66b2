"""`python -m gradstat`."""

from gradstat.cli import main

main()
