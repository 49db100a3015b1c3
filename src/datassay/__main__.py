"""`python -m datassay` is the command `datassay`."""

from datassay.cli.main import main

main()
