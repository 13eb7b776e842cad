"""`python -m grid.command_line`: the `trilemma` command."""

from grid.command_line.app import main

main()
