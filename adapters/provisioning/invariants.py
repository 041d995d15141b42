"""What must hold of the network's own ledger, and what it can list for a comparison with others."""

from domain.invariant import Invariant

CALLS = "SELECT key, NULL AS about, outcome AS value FROM provisioning.calls"
RUNNING = """
    SELECT service AS key, service AS about, CAST(since AS text) AS value FROM provisioning.services WHERE until IS NULL
"""
RUNNING_BILLABLE = f"{RUNNING} AND billable AND suspended_at IS NULL"

INVARIANTS = (
    Invariant(
        id="I10-network",
        statement="No number or address is on two services, other than while one is moved",
        query="""
            SELECT CASE WHEN count(*) > 1 THEN format('%s of %s is on services %s', value, pool,
                                                      string_agg(service, ', '))
                   END AS broken
              FROM provisioning.services
             CROSS JOIN jsonb_each(numbers) AS taken (pool, "values")
             CROSS JOIN jsonb_array_elements_text(taken."values") AS value
             WHERE until IS NULL AND service NOT IN (SELECT about FROM under_way)
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
    Invariant(
        id="I9-suspensions",
        statement="A service is suspended only while it is on the network, and in one period at a time",
        query="""
            SELECT CASE WHEN x.since < x.before THEN format('%s was suspended twice at %s', x.service, x.since)
                        WHEN x.since IS NOT NULL AND s.id IS NULL
                        THEN format('%s was suspended from %s to %s, and not there', x.service, x.since, x.until)
                   END AS broken
              FROM (SELECT service, since, until, lag(until) OVER (PARTITION BY service ORDER BY since) AS before
                      FROM (SELECT service, since, until FROM provisioning.suspensions
                             UNION ALL
                            SELECT service, suspended_at, NULL FROM provisioning.services
                             WHERE suspended_at IS NOT NULL
                             UNION ALL
                            SELECT service, NULL, NULL FROM provisioning.services) AS known) AS x
              LEFT JOIN provisioning.services AS s
                   ON s.service = x.service AND s.since <= x.since
                  AND COALESCE(s.until, 'infinity') >= COALESCE(x.until, x.since)
        """,
    ),
)
