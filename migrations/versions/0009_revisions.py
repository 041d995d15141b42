"""Revisions of orders under way: each as it was submitted, and what became of it."""

from alembic import op

revision = "0009"
down_revision = "0008"

UPGRADE = """
-- How many of the operators' corrections the document of the revision in force has in it already.
ALTER TABLE orderloom.orders ADD COLUMN corrections_included INTEGER NOT NULL DEFAULT 0;

CREATE TABLE orderloom.order_revisions (
    order_id UUID NOT NULL,
    revision INTEGER NOT NULL,
    document JSONB NOT NULL,
    corrections_included INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'queued',
    force BOOLEAN NOT NULL,
    actor TEXT NOT NULL,
    reason TEXT NOT NULL,
    submitted_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
    decided_at TIMESTAMP WITH TIME ZONE,
    code TEXT,
    step TEXT,
    CONSTRAINT order_revisions_pk PRIMARY KEY (order_id, revision),
    CONSTRAINT order_revisions_order_id_fk FOREIGN KEY (order_id) REFERENCES orderloom.orders (id),
    CONSTRAINT order_revisions_state CHECK (state IN ('queued', 'accepted', 'active', 'superseded', 'refused')),
    CONSTRAINT order_revisions_revision CHECK (revision >= 0)
) WITH (autovacuum_analyze_threshold = 2000, autovacuum_vacuum_threshold = 2000,
        autovacuum_vacuum_insert_threshold = 2000);

CREATE UNIQUE INDEX order_revisions_one_active ON orderloom.order_revisions (order_id) WHERE state = 'active';

CREATE INDEX order_revisions_queued ON orderloom.order_revisions (submitted_at) WHERE state = 'queued';
"""


def upgrade() -> None:
    """Create the table, and count what a document has in it."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Drop both; what was revised stays as it is."""
    op.execute("DROP TABLE orderloom.order_revisions")
    op.execute("ALTER TABLE orderloom.orders DROP COLUMN corrections_included")
