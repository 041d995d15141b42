"""A fallout may be about something of an order that is no step of a line, such as our own records."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.execute("""
        ALTER TABLE orderloom.fallouts
            DROP CONSTRAINT fallouts_step,
            ADD CONSTRAINT fallouts_step CHECK (step IS NULL OR order_id IS NOT NULL);
    """)


def downgrade() -> None:
    op.execute("""
        DELETE FROM orderloom.fallouts WHERE step IS NOT NULL AND line IS NULL;
        ALTER TABLE orderloom.fallouts
            DROP CONSTRAINT fallouts_step,
            ADD CONSTRAINT fallouts_step CHECK (step IS NULL OR (order_id IS NOT NULL AND line IS NOT NULL));
    """)
