"""Orders that began under earlier code go on under this one: golden histories, one for every path, are only ever added.

``ORDERLOOM_RECORD=1 pytest tests/replay`` records the paths that have none yet. When a path comes to look otherwise in
the history, ``ORDERLOOM_RECORD=otherwise pytest tests/replay -k path`` records it once more, as ``path-otherwise``.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import Client, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

import worker
from settings import WorkflowSandbox
from tests.conftest import Database
from tests.replay.paths import PATHS
from tests.shop import open_shop
from tests.workflows.catalog import furnish
from workflows.messages import OrderEnd, OrderRun
from workflows.order import OrderWorkflow

HISTORIES = Path(__file__).parent / "histories"
RECORDED = sorted(path.stem for path in HISTORIES.glob("*.json"))
OTHERWISE = os.environ.get("ORDERLOOM_RECORD", "1")
TO_RECORD = {name: name if OTHERWISE == "1" else f"{name}-{OTHERWISE}" for name in PATHS}


@pytest.mark.parametrize("name", PATHS)
def test_every_path_has_its_golden_history(name: str) -> None:
    assert name in RECORDED, "record it: ORDERLOOM_RECORD=1 pytest tests/replay"


@pytest.mark.skipif(
    "ORDERLOOM_RECORD" not in os.environ, reason="records golden histories when ORDERLOOM_RECORD is set"
)
@pytest.mark.parametrize("name", [name for name in PATHS if TO_RECORD[name] not in RECORDED])
async def test_record_what_is_missing(name: str, database: Database, temporal_client: Client) -> None:
    async with open_shop(database.app_url, temporal_client) as shop:
        furnish(shop)
        handle = await PATHS[name](shop)
        await handle.result()
        history = json.loads((await handle.fetch_history()).to_json())
        (HISTORIES / f"{TO_RECORD[name]}.json").write_text(_without_traces(history))


@pytest.mark.req("W1")
@pytest.mark.parametrize("name", RECORDED)
async def test_todays_workflow_agrees_with_what_was_decided_then(name: str) -> None:
    await _replayer(*worker.WORKFLOWS).replay_workflow(_history(name))


@workflow.defn(name="Order", sandboxed=False)
class Careless(OrderWorkflow):
    """The order's workflow after an edit that forgets the orders under way: every order has a minute's grace now."""

    @workflow.init
    def __init__(self, run: OrderRun) -> None:
        super().__init__(run)

    @workflow.run
    async def run(self, run: OrderRun) -> OrderEnd:
        await workflow.sleep(60)
        return await super().run(run)


@pytest.mark.parametrize("name", ["wireless_bundle", "refused_and_given_up"])
async def test_a_careless_edit_of_the_workflow_is_caught(name: str) -> None:
    with pytest.raises(NondeterminismError):
        await _replayer(Careless).replay_workflow(_history(name))


def _replayer(*workflows: type) -> Replayer:
    runner = worker.runner(WorkflowSandbox.ON)
    return Replayer(workflows=workflows, data_converter=pydantic_data_converter, workflow_runner=runner)


def _history(name: str) -> WorkflowHistory:
    return WorkflowHistory.from_json(f"golden-{name}", (HISTORIES / f"{name}.json").read_text())


def _without_traces(history: dict[str, Any]) -> str:
    """The history without what belongs to the machine it was recorded on."""

    def cleaned(value: Any) -> Any:  # noqa: ANN401
        if isinstance(value, dict):
            return {k: cleaned(v) for k, v in value.items() if k not in ("stackTrace", "identity", "workerVersion")}
        return [cleaned(x) for x in value] if isinstance(value, list) else value

    return json.dumps(cleaned(history), indent=1) + "\n"
