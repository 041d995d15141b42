"""What must never be cannot be stored: nothing follows the end of an order or line, and what happened stays written."""

from alembic import op

revision = "0010"
down_revision = "0009"

FINAL = "('cancelled', 'completed', 'failed', 'partial', 'rejected')"

UP = f"""
ALTER TABLE orderloom.orders ADD CONSTRAINT orders_ended CHECK ((completed_at IS NOT NULL) = (state IN {FINAL}));

CREATE FUNCTION orderloom.is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is final: % cannot follow', OLD.state, NEW.state
    USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME, SCHEMA = TG_TABLE_SCHEMA;
END
$$;

CREATE TRIGGER orders_final BEFORE UPDATE OF state ON orderloom.orders
    FOR EACH ROW WHEN (OLD.state IN {FINAL} AND NEW.state <> OLD.state) EXECUTE FUNCTION orderloom.is_final();

CREATE TRIGGER order_lines_final BEFORE UPDATE OF state ON orderloom.order_lines
    FOR EACH ROW WHEN (OLD.state IN {FINAL} AND NEW.state <> OLD.state) EXECUTE FUNCTION orderloom.is_final();

CREATE FUNCTION orderloom.is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is only ever added to', TG_TABLE_NAME
    USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME, SCHEMA = TG_TABLE_SCHEMA;
END
$$;

CREATE TRIGGER order_events_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON orderloom.order_events
    FOR EACH STATEMENT EXECUTE FUNCTION orderloom.is_kept();

CREATE TRIGGER audit_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON orderloom.audit
    FOR EACH STATEMENT EXECUTE FUNCTION orderloom.is_kept();
"""

DOWN = """
DROP TRIGGER audit_kept ON orderloom.audit;
DROP TRIGGER order_events_kept ON orderloom.order_events;
DROP TRIGGER order_lines_final ON orderloom.order_lines;
DROP TRIGGER orders_final ON orderloom.orders;
DROP FUNCTION orderloom.is_kept(), orderloom.is_final();
ALTER TABLE orderloom.orders DROP CONSTRAINT orders_ended;
"""


def upgrade() -> None:
    op.execute(UP)


def downgrade() -> None:
    op.execute(DOWN)
