"""`orderloom supply`: numbers and goods for the embedded inventory, which has nobody else to bring them."""

import json

import typer

from cli import document, screen, whereabouts
from cli.client import DocumentFile
from cli.whereabouts import DataFolder

commands = typer.Typer()


@commands.command(rich_help_panel="The whole system")
def supply(file: DocumentFile, data: DataFolder = None) -> None:
    """Fill the embedded inventory: pools of numbers, and stock (see examples/supplies.yaml).

    That of the system on the data folder, or of the one that ORDERLOOM_DATABASE_URL names.
    """
    from sqlalchemy.exc import OperationalError

    from cli import neighbours
    from sql.connections import connect

    supplies = json.loads(document.as_json(file))
    engine = connect(whereabouts.settings(data).database_url, pool_size=1)
    try:
        supplied = neighbours.supply(engine, supplies)
    except (ValueError, OperationalError) as problem:
        screen.complain(f"Not everything of {file} is there: {problem}")
        raise typer.Exit(1) from None
    finally:
        engine.dispose()
    for what, count in supplied.items():
        screen.say(f"{what}: {count} more")
