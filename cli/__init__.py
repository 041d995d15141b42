"""The program `orderloom`: one module for each group of commands, joined here.

A command imports what it works with when it runs, so that the others start quickly.
"""

import logging
import os
import sys
from typing import NoReturn

import typer

from cli import (
    accounts,
    approvals,
    catalog,
    changes,
    client,
    demo,
    fallouts,
    house,
    orders,
    parts,
    reports,
    supplies,
    verify,
)

app = typer.Typer(
    name="orderloom",
    help="Order fulfillment on durable Temporal workflows.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,  # a local may be a password
)
for group in (house, demo, supplies, verify, catalog, orders, changes, approvals, fallouts, reports, accounts, parts):
    client.name_systems_alike(group.commands)
    app.add_typer(group.commands)


def main() -> NoReturn:
    """Run the program, then leave without Python's own finalization.

    A thread of the Temporal client that is just taking the interpreter's lock would abort the process there, after all
    its work is done (temporalio/sdk-python issue 300; seen here as status -6).
    """
    try:
        app()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    else:
        status = 0
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
