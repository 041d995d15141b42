"""A network that runs each service once, and may take its time."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import pytest

from adapters.switches import Mode, Switch
from domain.neighbour import Refused
from domain.provisioning import Activation, NetworkService, RunningService, ServiceState, Working
from tests.adapters.conftest import ACCOUNT, Neighbours, at_once


def _service(name: str) -> NetworkService:
    return NetworkService(
        service=name,
        product="GSM",
        account=ACCOUNT,
        billable=True,
        service_id="+1-555-0100",
        features=("VOICEMAIL",),
        numbers={"MSISDN": ("+1-555-0100",)},
        attributes={"apn": "internet", "speed": 100, "roaming": True, "note": None},
    )


def _running(neighbours: Neighbours, name: str, as_of: datetime) -> list[RunningService]:
    return [x for x in neighbours.provisioning.list_active(as_of=as_of) if x.service == name]


@pytest.mark.req("F20")
def test_a_service_activated_twice_runs_once_and_since_the_first_time(neighbours: Neighbours, name: str):
    began = neighbours.clock()
    neighbours.provisioning.activate(key=f"{name}-1", service=_service(name))
    neighbours.clock.forward(hours=1)
    changed = replace(_service(name), features=("VOICEMAIL", "ROAMING"))
    again = neighbours.provisioning.activate(key=f"{name}-2", service=changed)
    assert again == Activation(key=f"{name}-2", service=name, state=ServiceState.ACTIVE, at=began)
    assert _running(neighbours, name, neighbours.clock()) == [
        RunningService(service=name, account=ACCOUNT, billable=True, since=began)
    ]
    rows = neighbours.rows("SELECT features FROM provisioning.services WHERE service = :name", name=name)
    assert [row.features for row in rows] == [["VOICEMAIL", "ROAMING"]]


@pytest.mark.req("F20")
def test_a_service_activated_many_times_at_once_runs_once(neighbours: Neighbours, name: str):
    at_once(lambda i: neighbours.provisioning.activate(key=f"{name}-{i}", service=_service(name)), 20)
    assert len(_running(neighbours, name, neighbours.clock())) == 1


@pytest.mark.req("F20", "F06")
def test_what_ran_at_an_instant_can_be_asked_later(neighbours: Neighbours, name: str):
    began = neighbours.clock()
    neighbours.provisioning.activate(key=f"{name}-1", service=_service(name))
    neighbours.clock.forward(days=3)
    ended = neighbours.clock()
    down = neighbours.provisioning.deactivate(key=f"{name}-2", service=name)
    assert down == Activation(key=f"{name}-2", service=name, state=ServiceState.INACTIVE, at=ended)
    second = timedelta(seconds=1)
    running = [bool(_running(neighbours, name, at)) for at in (began - second, began, ended - second, ended)]
    assert running == [False, True, True, False]


def test_a_service_that_went_down_can_come_up_again(neighbours: Neighbours, name: str):
    neighbours.provisioning.activate(key=f"{name}-1", service=_service(name))
    neighbours.provisioning.deactivate(key=f"{name}-2", service=name)
    neighbours.clock.forward(hours=1)
    neighbours.provisioning.activate(key=f"{name}-3", service=_service(name))
    assert [x.since for x in _running(neighbours, name, neighbours.clock())] == [neighbours.clock()]


def test_a_service_that_is_down_is_taken_down_with_the_same_instant_and_one_that_never_was_with_none(
    neighbours: Neighbours, name: str
):
    assert neighbours.provisioning.deactivate(key=f"{name}-0", service=name) is None
    neighbours.provisioning.activate(key=f"{name}-1", service=_service(name))
    first = neighbours.provisioning.deactivate(key=f"{name}-2", service=name)
    neighbours.clock.forward(hours=1)
    second = neighbours.provisioning.deactivate(key=f"{name}-3", service=name)
    assert isinstance(first, Activation)
    assert second == replace(first, key=f"{name}-3")


@pytest.mark.req("F20")
def test_a_slow_network_works_on_it_and_then_has_done_it_when_its_time_had_passed(neighbours: Neighbours, name: str):
    neighbours.own_provisioning.switches.set("activate", Switch(mode=Mode.SLOW, ms=60_000, remaining=1))
    done_at = neighbours.clock() + timedelta(seconds=60)
    assert neighbours.provisioning.activate(key=name, service=_service(name)) == Working(key=name, again_in_s=60)
    assert neighbours.provisioning.query(key=name) is None
    neighbours.clock.forward(seconds=45)
    assert neighbours.provisioning.activate(key=name, service=_service(name)) == Working(key=name, again_in_s=15)
    assert _running(neighbours, name, neighbours.clock()) == []
    neighbours.clock.forward(seconds=45)
    answer = neighbours.provisioning.activate(key=name, service=_service(name))
    assert answer == Activation(key=name, service=name, state=ServiceState.ACTIVE, at=done_at)
    assert neighbours.provisioning.query(key=name) == answer
    assert [x.since for x in _running(neighbours, name, neighbours.clock())] == [done_at]
    assert neighbours.outcomes("provisioning", name) == ["applied", "replayed", "replayed"]


def test_a_slow_activation_that_is_called_off_never_runs(neighbours: Neighbours, name: str):
    neighbours.own_provisioning.switches.set("activate", Switch(mode=Mode.SLOW, ms=60_000, remaining=1))
    neighbours.provisioning.activate(key=name, service=_service(name))
    neighbours.provisioning.deactivate(key=f"{name}-off", service=name)
    assert _running(neighbours, name, neighbours.clock() + timedelta(days=1)) == []


def test_a_network_that_refuses_runs_nothing(neighbours: Neighbours, name: str):
    refusing = Switch(mode=Mode.REFUSE, match=name, code="NO_COVERAGE", message="no mast in reach")
    neighbours.own_provisioning.switches.set("activate", refusing)
    answer = neighbours.provisioning.activate(key=name, service=_service(name))
    assert answer == Refused(code="NO_COVERAGE", message="no mast in reach")
    assert _running(neighbours, name, neighbours.clock()) == []


def _states(neighbours: Neighbours, name: str, *instants: datetime) -> list[str]:
    """In which state a service is listed at each of the instants, in words."""
    found = [_running(neighbours, name, at) for at in instants]
    return [x[0].state.value if x else "" for x in found]


@pytest.mark.req("F20", "F06")
def test_what_was_suspended_at_an_instant_can_be_asked_later(neighbours: Neighbours, name: str):
    began, day = neighbours.clock(), timedelta(days=1)
    neighbours.provisioning.activate(key=f"{name}-1", service=_service(name))
    for place, change in enumerate((neighbours.provisioning.suspend, neighbours.provisioning.resume) * 2):
        neighbours.clock.forward(days=2)
        change(key=f"{name}-change-{place}", service=name)
    neighbours.clock.forward(days=2)
    neighbours.provisioning.suspend(key=f"{name}-2", service=name)
    neighbours.clock.forward(days=2)
    neighbours.provisioning.deactivate(key=f"{name}-3", service=name)
    days = _states(neighbours, name, *(began + n * day for n in range(-1, 14)))
    active, suspended = ["active", "active"], ["suspended", "suspended"]
    assert days == ["", *active, *suspended, *active, *suspended, *active, *suspended, "", ""]
    listed = [_running(neighbours, name, began + n * day)[0] for n in range(12)]
    assert {x.since for x in listed} == {began}
    changed = [n // 2 * 2 * day + began if n >= 2 else None for n in range(12)]
    assert [x.state_since for x in listed] == changed


@pytest.mark.req("F20")
def test_what_is_done_already_is_answered_with_the_instant_when_it_was(neighbours: Neighbours, name: str):
    network, began = neighbours.provisioning, neighbours.clock()
    network.activate(key=f"{name}-0", service=_service(name))

    def at(change: Callable[..., object], state: ServiceState) -> datetime:
        neighbours.clock.forward(hours=1)
        answer = change(key=f"{name} {neighbours.clock()}", service=name)
        assert isinstance(answer, Activation)
        assert answer.state is state
        return answer.at

    assert at(network.resume, ServiceState.ACTIVE) == began
    rested = at(network.suspend, ServiceState.SUSPENDED)
    assert (rested, at(network.suspend, ServiceState.SUSPENDED)) == (began + timedelta(hours=2), rested)
    resumed = at(network.resume, ServiceState.ACTIVE)
    assert (resumed, at(network.resume, ServiceState.ACTIVE)) == (began + timedelta(hours=4), resumed)
    at(network.deactivate, ServiceState.INACTIVE)
    neighbours.clock.forward(hours=1)
    network.activate(key=f"{name}-again", service=_service(name))
    assert at(network.resume, ServiceState.ACTIVE) == neighbours.clock() - timedelta(hours=1)


@pytest.mark.req("F20")
@pytest.mark.parametrize("state", [ServiceState.ACTIVE, ServiceState.SUSPENDED])
def test_a_service_is_brought_up_to_date_and_stays_in_its_state(neighbours: Neighbours, name: str, state: ServiceState):
    neighbours.provisioning.activate(key=f"{name}-1", service=_service(name))
    if state is ServiceState.SUSPENDED:
        neighbours.provisioning.suspend(key=f"{name}-2", service=name)
    neighbours.clock.forward(hours=1)
    changed = replace(_service(name), product="LTE", features=(), numbers={}, attributes={"speed": 500})
    answer = neighbours.provisioning.modify(key=f"{name}-3", service=changed)
    assert answer == Activation(key=f"{name}-3", service=name, state=state, at=neighbours.clock())
    rows = neighbours.rows(
        "SELECT product, features, numbers, attributes FROM provisioning.services WHERE service = :name", name=name
    )
    assert [tuple(x) for x in rows] == [("LTE", [], {}, {"speed": 500})]
    assert _states(neighbours, name, neighbours.clock()) == [state]


@pytest.mark.req("F20")
@pytest.mark.parametrize("was", ["never", "stopped"])
def test_what_is_not_on_the_network_is_not_changed(neighbours: Neighbours, name: str, was: str):
    network = neighbours.provisioning
    if was == "stopped":
        network.activate(key=f"{name}-1", service=_service(name))
        network.deactivate(key=f"{name}-2", service=name)
    before = neighbours.snapshot("provisioning")
    no = Refused(code="NOT_RUNNING", message=f"service {name} is not on the network")
    assert network.modify(key=f"{name}-3", service=_service(name)) == no
    assert network.suspend(key=f"{name}-4", service=name) == no
    assert network.resume(key=f"{name}-5", service=name) == no
    assert neighbours.snapshot("provisioning") == before


@pytest.mark.req("F20")
def test_a_suspended_service_is_resumed_and_not_activated(neighbours: Neighbours, name: str):
    neighbours.provisioning.activate(key=f"{name}-1", service=_service(name))
    neighbours.provisioning.suspend(key=f"{name}-2", service=name)
    answer = neighbours.provisioning.activate(key=f"{name}-3", service=_service(name))
    assert isinstance(answer, Refused)
    assert answer.code == "WRONG_STATE"


@pytest.mark.req("F20")
def test_a_service_suspended_and_taken_down_at_the_same_time_is_down(neighbours: Neighbours, name: str):
    services = [f"{name}-{i}" for i in range(15)]
    for service in services:
        neighbours.provisioning.activate(key=service, service=_service(service))
    changes = (neighbours.provisioning.suspend, neighbours.provisioning.resume, neighbours.provisioning.deactivate)
    at_once(lambda i: changes[i % 3](key=f"{name}:{i}", service=services[i // 3]), 45)
    rows = neighbours.rows(
        "SELECT service FROM provisioning.services WHERE service LIKE :name AND (until IS NULL OR suspended_at IS NOT"
        " NULL)",
        name=f"{name}-%",
    )
    assert rows == []


@pytest.mark.req("F20")
def test_a_slow_network_suspends_resumes_and_takes_down_when_its_time_has_passed(neighbours: Neighbours, name: str):
    network, minute = neighbours.provisioning, timedelta(minutes=1)
    network.activate(key=f"{name}-0", service=_service(name))
    for operation in ("modify", "suspend", "resume", "deactivate"):
        neighbours.own_provisioning.switches.set(operation, Switch(mode=Mode.SLOW, ms=60_000, remaining=1))

    def slowly(key: str, change: Callable[..., object]) -> datetime:
        assert change(key=key) == Working(key=key, again_in_s=60)
        assert network.query(key=key) is None
        done_at = neighbours.clock() + minute
        neighbours.clock.forward(seconds=61)
        answer = change(key=key)
        assert answer == network.query(key=key)
        assert isinstance(answer, Activation)
        assert answer.at == done_at
        return done_at

    slowly(f"{name}-1", partial(network.modify, service=_service(name)))
    second = timedelta(seconds=1)
    states = []
    for change in (network.suspend, network.resume, network.deactivate):
        done_at = slowly(f"{name}-{change.__name__}", partial(change, service=name))
        states.append(_states(neighbours, name, done_at - second, done_at))
    assert states == [["active", "suspended"], ["suspended", "active"], ["active", ""]]


def test_a_slow_suspension_that_is_called_off_never_was(neighbours: Neighbours, name: str):
    neighbours.provisioning.activate(key=f"{name}-0", service=_service(name))
    neighbours.own_provisioning.switches.set("suspend", Switch(mode=Mode.SLOW, ms=60_000, remaining=1))
    neighbours.provisioning.suspend(key=f"{name}-1", service=name)
    neighbours.provisioning.resume(key=f"{name}-2", service=name, undoes=f"{name}-1")
    assert _states(neighbours, name, neighbours.clock() + timedelta(minutes=2)) == ["active"]
