"""`python -m cli` is `orderloom`, wherever it is installed."""

from cli import main

main()
