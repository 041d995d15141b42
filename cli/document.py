"""Documents that people write: YAML or JSON, by the file's name."""

import json
from pathlib import Path
from typing import Any

import typer

from cli import screen

_MEDIA_TYPE = {".json": "application/json", ".yaml": "application/yaml", ".yml": "application/yaml"}


def media_type(file: Path) -> str:
    """Return what the file is sent as; anything that is not called JSON is taken for YAML."""
    return _MEDIA_TYPE.get(file.suffix.lower(), "application/yaml")


def as_json(file: Path) -> bytes:
    """Return the document as JSON: a JSON file as it stands. Say where it is unreadable, and exit with status 1."""
    if media_type(file) == "application/json":
        return file.read_bytes()
    return json.dumps(_yaml(file), ensure_ascii=False).encode()


def _yaml(file: Path) -> Any:  # noqa: ANN401 - any JSON value
    import yaml

    class Loader(yaml.SafeLoader):
        """Dates and instants stay the text they are: that is what JSON calls them."""

        yaml_implicit_resolvers = {  # noqa: RUF012 - a class attribute of PyYAML's
            first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
            for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

    try:
        return yaml.load(file.read_bytes(), Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        screen.complain(f"{file} is not YAML: {' '.join(str(error).split())}")
        raise typer.Exit(1) from None
