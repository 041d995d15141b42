"""The program `orderloom`: one module for each group of commands, joined here.

A command imports what it works with when it runs, so that the others start quickly.
"""

import typer

from cli import accounts, catalog, demo, fallouts, house, orders, parts

app = typer.Typer(
    name="orderloom",
    help="Order fulfillment on durable Temporal workflows.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,  # a local may be a password
)
for group in (house, demo, catalog, orders, fallouts, accounts, parts):
    app.add_typer(group.commands)
