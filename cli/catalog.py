"""`orderloom publish`: a catalog from a file."""

import typer

from cli import document, screen
from cli.client import PANEL, ApiUrl, DocumentFile, Json, asking

commands = typer.Typer()


@commands.command(rich_help_panel=PANEL)
def publish(file: DocumentFile, api: ApiUrl = None, *, as_json: Json = False) -> None:
    """Publish a whole catalog as a new version, or say everything that is wrong with it."""
    with asking(api, as_json=as_json) as asked:
        content = file.read_bytes()
        published = asked.send("PUT", "/v1/catalog", content, media_type=document.media_type(file))
        if as_json:
            screen.say_json(published)
            return
        screen.say(f"Catalog version {published['version']} is published.")
        if published["warnings"]:
            screen.violations(published["warnings"], stderr=False)
