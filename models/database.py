"""The schema's way from one version to the next."""

from pathlib import Path

from alembic import command
from alembic.config import Config


def upgrade(owner_url: str, revision: str = "head") -> None:
    """Bring the schema to a revision, the newest unless said; safe to repeat. Needs the owner's role."""
    command.upgrade(_alembic(owner_url), revision)


def downgrade(owner_url: str, revision: str) -> None:
    """Take the schema back to an earlier revision."""
    command.downgrade(_alembic(owner_url), revision)


def _alembic(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent.parent / "migrations"))
    config.attributes["url"] = url
    return config
