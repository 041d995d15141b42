"""The part of the fault programme that runs with every commit: one story and the API, and some planted bugs.

`make faults` runs all of it.
"""

import time
from collections.abc import AsyncIterator, Sequence

import pytest

from tests.faults import crashes, house, oracle, planted
from tests.faults.boundary import Place
from tests.faults.house import House
from tests.faults.stories import ORDER_TYPES, submitted
from tests.faults.trials import Trial, side_by_side
from tests.faults.worlds import API, WORKER

SLOTS = 8
pytestmark = pytest.mark.timeout(300)  # a minute, and longer where others use the machine as well
STORY = "refused_and_given_up"
"""It reserves, bills in two phases, asks the network, asks a person, and takes everything back."""


WITHIN_S = 240
"""All of it, beside whatever else is tested meanwhile."""


@pytest.fixture(scope="module")
async def there(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    began = time.monotonic()
    async with house.opened(tmp_path_factory.mktemp("house")) as opened:
        yield opened
    assert time.monotonic() - began < WITHIN_S


def wrong(trials: Sequence[Trial]) -> Sequence[str]:
    return [f"{x.what}: {y}" for x in trials for y in x.violations]


def nobody(_: Trial) -> None:
    """What is found is told at the end."""


@pytest.mark.req("W1", "W2")
async def test_a_worker_may_die_anywhere_and_nothing_is_lost_or_done_twice(there: House):
    found = await crashes.recorded(there, {STORY: ORDER_TYPES[STORY]})
    places: Sequence[Place] = crashes.each_signature(found)

    trials = await side_by_side(there, crashes.deaths(places), heard=nobody, slots=SLOTS)

    assert wrong(trials) == []
    assert len(trials) == sum(x.kills for x in trials) == len(places)
    assert {x.place for x in trials} == {*places}
    assert sum(x.predicted for x in trials) == sum(x.repeated for x in trials) > 0


@pytest.mark.req("W1")
async def test_an_api_may_die_anywhere_and_what_was_answered_is_there_once(there: House):
    story = {"submitted": submitted}
    places = await crashes.recorded(there, story, WORKER, API, part=API)

    tries = crashes.deaths(places, stories=story)
    trials = await side_by_side(there, tries, WORKER, API, heard=nobody, slots=SLOTS)

    assert wrong(trials) == []
    assert len(trials) == len(places)
    missed = {x.place for x in trials if not x.kills}  # an API looks for orders now and then: by chance, when recorded
    assert not missed or missed.isdisjoint(await crashes.recorded(there, story, WORKER, API, part=API))


@pytest.mark.parametrize("plant", ["no pause", "unguarded stock", "void forgotten", "float money"])
async def test_a_planted_bug_is_caught(there: House, plant: str):
    caught = await planted.hunted(there, plant)

    assert caught.holds


def test_what_a_run_has_not_on_record_is_what_has_to_be_repeated():
    record = oracle.Record()
    keys = ["o:1:reserve:0", "o:1:provision:0", "o:1:provision:1", "o:1:reserve:0:undo"]

    record.ended({}, [{"step": "reserve:1"}, {"step": "provision:1", "again_in_s": 3}])
    record.ended({}, [{"step": "provision:1"}])

    assert [*record.unknown(keys)] == ["o:1:reserve:0:undo", "o:1:provision:1"]
