"""Orders that are being written, and not submitted yet."""

from alembic import op

revision = "0014"
down_revision = "0013"

UPGRADE = """
CREATE TABLE orderloom.drafts (
    id UUID NOT NULL,
    account TEXT NOT NULL,
    document JSONB NOT NULL,
    version INTEGER DEFAULT 1 NOT NULL,
    drafted_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT drafts_pk PRIMARY KEY (id)
) WITH (autovacuum_analyze_threshold = 2000, autovacuum_vacuum_threshold = 2000,
        autovacuum_vacuum_insert_threshold = 2000);
CREATE INDEX drafts_account ON orderloom.drafts (account);
CREATE INDEX drafts_drafted_at_id ON orderloom.drafts (drafted_at, id);
"""


def upgrade() -> None:
    """Create the table."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Drop it, with every draft."""
    op.execute("DROP TABLE orderloom.drafts")
