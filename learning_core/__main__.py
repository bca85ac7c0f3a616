"""`python -m learning_core` is the `afterglow` command."""

from learning_core.cli import main

main()
