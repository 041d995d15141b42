"""How often an undo was refused: the next attempt is a new request, with a key of its own."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Add the column."""
    op.add_column(
        "plan_items",
        sa.Column("undo_refusals", sa.Integer, nullable=False, server_default=sa.text("0")),
        schema="orderloom",
    )


def downgrade() -> None:
    """Remove it."""
    op.drop_column("plan_items", "undo_refusals", schema="orderloom")
