"""`orderloom supply`: numbers and goods for the embedded inventory, which has nobody else to bring them."""

import json
from typing import Annotated

import typer

from cli import document, screen, whereabouts
from cli.client import DocumentFile

commands = typer.Typer()

DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        "--database",
        envvar="ORDERLOOM_DATABASE_URL",
        metavar="URL",
        help="Where the embedded neighbours live. Default: the system that runs on your data folder.",
        show_default=False,
    ),
]


@commands.command(rich_help_panel="The whole system")
def supply(file: DocumentFile, database: DatabaseUrl = None) -> None:
    """Fill the embedded inventory: pools of numbers, and stock (see examples/supplies.yaml)."""
    from sqlalchemy.exc import OperationalError

    from cli import neighbours
    from sql.connections import connect

    supplies = json.loads(document.as_json(file))
    url = database or (whereabouts.running_system() or {}).get("database")
    if url is None:
        screen.complain("No system runs on your data folder; name its database with --database.")
        raise typer.Exit(1)
    engine = connect(url, pool_size=1)
    try:
        supplied = neighbours.supply(engine, supplies)
    except (ValueError, OperationalError) as problem:
        screen.complain(f"Not everything of {file} is there: {problem}")
        raise typer.Exit(1) from None
    finally:
        engine.dispose()
    for what, count in supplied.items():
        screen.say(f"{what}: {count} more")
