"""What reaches its service end is found at once."""

from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Add the index."""
    op.execute(
        "CREATE INDEX assets_ending ON orderloom.assets (service_end) "
        "WHERE service_end IS NOT NULL AND status <> 'inactive'"
    )


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP INDEX orderloom.assets_ending")
