"""What the neighbours list is found by index, however much has ended long ago."""

from alembic import op

revision = "0004"
down_revision = "0003"

INDEXES = """
CREATE INDEX services_until ON provisioning.services (until) WHERE until IS NOT NULL;

CREATE INDEX service_instances_ended_at ON billing.service_instances (ended_at) WHERE ended_at IS NOT NULL;

CREATE INDEX purchases_alone ON billing.purchases (asset)
    WHERE service_instance IS NULL AND billing_type = 'subscription' AND status NOT IN ('cancelled', 'voided');

CREATE INDEX purchases_alone_ended_at ON billing.purchases (ended_at)
    WHERE service_instance IS NULL AND billing_type = 'subscription' AND ended_at IS NOT NULL;
"""


def upgrade() -> None:
    """Add an index for each question."""
    op.execute(INDEXES)


def downgrade() -> None:
    """Take them away."""
    op.execute("DROP INDEX provisioning.services_until")
    for index in ("service_instances_ended_at", "purchases_alone", "purchases_alone_ended_at"):
        op.execute(f"DROP INDEX billing.{index}")
