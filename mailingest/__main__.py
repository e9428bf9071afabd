"""`python -m mailingest`, the same as the command `mailingest`."""

from mailingest.cli import main

main()
