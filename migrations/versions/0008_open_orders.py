"""Open orders are found by index: they are few, and looked at every half minute."""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.execute("CREATE INDEX orders_open ON orderloom.orders (submitted_at) WHERE completed_at IS NULL")


def downgrade() -> None:
    op.execute("DROP INDEX orderloom.orders_open")
