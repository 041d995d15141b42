"""Where nothing is wrong nothing is found, and every invariant has something to look at."""

from tests.verify.conftest import Copy

NOTHING_TO_LOOK_AT = {"I3", "reconciliation"}
"""Keys are the API's; here is none of it."""


async def test_on_a_healthy_system_every_invariant_holds_of_something(copy: Copy) -> None:
    findings = await copy.findings()
    assert [x for x in findings if not x.holds] == []
    assert {x.id for x in findings if not x.looked_at} == NOTHING_TO_LOOK_AT
    assert len({x.id for x in findings}) == len(findings)
