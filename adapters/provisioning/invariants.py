"""What must hold of the network's own ledger, and what it can list for a comparison with others."""

from domain.invariant import Invariant

CALLS = "SELECT key, NULL AS about, outcome AS value FROM provisioning.calls"
RUNNING = """
    SELECT service AS key, service AS about, CAST(since AS text) AS value FROM provisioning.services WHERE until IS NULL
"""
RUNNING_BILLABLE = f"{RUNNING} AND billable"

INVARIANTS = (
    Invariant(
        id="I10-network",
        statement="No number or address is on two services that run",
        query="""
            SELECT CASE WHEN count(*) > 1 THEN format('%s of %s is on services %s', value, pool,
                                                      string_agg(service, ', '))
                   END AS broken
              FROM provisioning.services
             CROSS JOIN jsonb_each(numbers) AS taken (pool, "values")
             CROSS JOIN jsonb_array_elements_text(taken."values") AS value
             WHERE until IS NULL
             GROUP BY pool, value
        """,
    ),
    Invariant(
        id="I9-activations",
        statement="A service runs by an activation, and in one period at a time",
        query="""
            SELECT CASE WHEN a.service IS NULL THEN format('%s runs and was never activated', s.service)
                        WHEN s.since < s.before THEN format('%s ran twice at %s', s.service, s.since) END AS broken
              FROM (SELECT service, since,
                           lag(COALESCE(until, 'infinity')) OVER (PARTITION BY service ORDER BY since, id) AS before
                      FROM provisioning.services) AS s
              LEFT JOIN (SELECT DISTINCT answer ->> 'service' AS service FROM provisioning.calls
                          WHERE operation = 'activate' AND outcome = 'applied') AS a USING (service)
        """,
    ),
)
