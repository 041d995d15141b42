"""Fallouts become a work list: urgency, owner, due date, and those that belong to no step."""

from alembic import op

revision = "0003"
down_revision = "0002"

UP = """
DROP INDEX orderloom.fallouts_one_open;

ALTER TABLE orderloom.fallouts
    DROP CONSTRAINT fallouts_state,
    ALTER COLUMN order_id DROP NOT NULL,
    ALTER COLUMN account DROP NOT NULL,
    ALTER COLUMN step DROP NOT NULL,
    ALTER COLUMN line DROP NOT NULL,
    ALTER COLUMN attempts SET DEFAULT 0,
    ADD COLUMN subject TEXT,
    ADD COLUMN in_doubt BOOLEAN DEFAULT false NOT NULL,
    ADD COLUMN priority INTEGER,
    ADD COLUMN owner TEXT,
    ADD COLUMN due_at TIMESTAMP WITH TIME ZONE,
    ADD COLUMN escalated_at TIMESTAMP WITH TIME ZONE;

-- A correctable step that could not be corrected, and a closing step that could not be given up, were in doubt.
UPDATE orderloom.fallouts
   SET subject = order_id || ':' || step,
       in_doubt = CASE WHEN split_part(step, ':', 1) IN ('reserve', 'deliver', 'provision')
                       THEN 'retry_with' <> ALL (decisions) ELSE 'abort' <> ALL (decisions) END,
       priority = CASE split_part(step, ':', 1) WHEN 'fulfill_billing' THEN 1 WHEN 'purchase' THEN 1
                                                WHEN 'asset' THEN 2 WHEN 'commit' THEN 4 ELSE 3 END;
UPDATE orderloom.fallouts
   SET due_at = opened_at + CASE priority WHEN 1 THEN interval '1 hour' WHEN 2 THEN interval '4 hours'
                                          WHEN 3 THEN interval '1 day' ELSE interval '3 days' END;

ALTER TABLE orderloom.fallouts
    DROP COLUMN decisions,
    ALTER COLUMN subject SET NOT NULL,
    ALTER COLUMN priority SET NOT NULL,
    ALTER COLUMN due_at SET NOT NULL,
    ADD CONSTRAINT fallouts_type CHECK (type IN ('Validation', 'Inventory Allocation', 'Provisioning', 'Billing',
        'Field Work', 'System', 'Reconciliation')),
    ADD CONSTRAINT fallouts_state CHECK (state IN ('open', 'inProgress', 'onHold', 'awaitingInfo', 'closed',
        'cancelled')),
    ADD CONSTRAINT fallouts_priority CHECK (priority BETWEEN 1 AND 5),
    ADD CONSTRAINT fallouts_closed_at CHECK ((state NOT IN ('cancelled', 'closed')) = (closed_at IS NULL)),
    ADD CONSTRAINT fallouts_step CHECK (step IS NULL OR (order_id IS NOT NULL AND line IS NOT NULL));

CREATE UNIQUE INDEX fallouts_one_open ON orderloom.fallouts (subject) WHERE state NOT IN ('cancelled', 'closed');

CREATE INDEX fallouts_late ON orderloom.fallouts (due_at)
    WHERE escalated_at IS NULL AND state NOT IN ('cancelled', 'closed');

CREATE INDEX fallouts_order_id ON orderloom.fallouts (order_id);

-- Numbers those that belong to no step; a step's is numbered by its order.
CREATE SEQUENCE orderloom.findings;
"""

DOWN = """
DELETE FROM orderloom.fallouts WHERE step IS NULL;
DROP SEQUENCE orderloom.findings;
DROP INDEX orderloom.fallouts_order_id, orderloom.fallouts_late, orderloom.fallouts_one_open;

ALTER TABLE orderloom.fallouts
    ADD COLUMN decisions TEXT[] DEFAULT '{retry}' NOT NULL,
    DROP CONSTRAINT fallouts_type,
    DROP CONSTRAINT fallouts_state,
    DROP CONSTRAINT fallouts_priority,
    DROP CONSTRAINT fallouts_closed_at,
    DROP CONSTRAINT fallouts_step,
    DROP COLUMN subject,
    DROP COLUMN in_doubt,
    DROP COLUMN priority,
    DROP COLUMN owner,
    DROP COLUMN due_at,
    DROP COLUMN escalated_at,
    ALTER COLUMN order_id SET NOT NULL,
    ALTER COLUMN account SET NOT NULL,
    ALTER COLUMN step SET NOT NULL,
    ALTER COLUMN line SET NOT NULL,
    ALTER COLUMN attempts DROP DEFAULT;

ALTER TABLE orderloom.fallouts ALTER COLUMN decisions DROP DEFAULT;

UPDATE orderloom.fallouts SET state = CASE WHEN closed_at IS NULL THEN 'open' ELSE 'closed' END;

ALTER TABLE orderloom.fallouts ADD CONSTRAINT fallouts_state CHECK (state IN ('open', 'closed'));

CREATE UNIQUE INDEX fallouts_one_open ON orderloom.fallouts (order_id, step) WHERE state = 'open';
"""


def upgrade() -> None:
    op.execute(UP)


def downgrade() -> None:
    op.execute(DOWN)
