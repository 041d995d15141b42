"""Changes that readers may want to see: each appends to the order's event log under its row lock, so without gaps."""

from domain.order import State
from sql.prepared import Prepared


def changes(sql: str, *, also: str = "") -> Prepared:
    """A statement whose CTE ``changed`` has a row for each event of the order ``:order``, as (position, type, body).

    No row, no change: then the order's log and its state stay as they are. ``state`` and ``finished`` come from the
    parameters of that name; ``also`` are further columns of the order that are set, each behind a comma. The reason of
    a cancellation stays when the order has come to its end.
    """
    return Prepared(f"""
        WITH {sql},
        logged AS (
            UPDATE orderloom.orders
               SET last_seq = last_seq + (SELECT count(*) FROM changed),
                   state = COALESCE(CAST(:state AS text), state),
                   reason = CASE WHEN COALESCE(CAST(:state AS text), '{State.CANCELLED}') = '{State.CANCELLED}'
                                 THEN reason ELSE CAST(:reason AS text) END,
                   completed_at = CASE WHEN CAST(:finished AS boolean) THEN now() ELSE completed_at END{also}
             WHERE id = CAST(:order AS uuid) AND EXISTS (SELECT FROM changed)
            RETURNING last_seq
        ),
        event AS (
            INSERT INTO orderloom.order_events (order_id, seq, type, body)
            SELECT CAST(:order AS uuid), last_seq + 1 - row_number() OVER (ORDER BY position DESC), type, body
              FROM changed, logged
        )
        SELECT last_seq FROM logged
    """)  # noqa: S608 - built from constants of this module
