"""Time, compressed: what takes half a minute in production takes two seconds here, and nothing is left out."""

from datetime import timedelta
from typing import Any

from temporalio.client import Interceptor, OutboundInterceptor, StartWorkflowInput, WorkflowHandle
from typing_extensions import override

from workflows.messages import OrderRun, Patience

PATIENCE = Patience(first_s=3.0, attempt_s=2.0, pause_s=0.05, longest_pause_s=0.5, give_up_s=10.0)
BRIEF = Patience(first_s=2.0, attempt_s=1.0, pause_s=0.05, longest_pause_s=0.3, give_up_s=2.5)
LONG = Patience(first_s=8.0, attempt_s=8.0, pause_s=0.05, longest_pause_s=0.5, give_up_s=100.0)
SHORT_ATTEMPTS = Patience(first_s=2.0, attempt_s=2.4, pause_s=0.05, longest_pause_s=0.5, give_up_s=20.0)
TASK_TIMEOUT = timedelta(seconds=2)
"""How long Temporal waits for a worker that has taken a workflow's task."""


class Hasty(Interceptor):
    """For a client: the runs that it starts are in haste."""

    @override
    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        return _Outbound(next)


class _Outbound(OutboundInterceptor):
    @override
    async def start_workflow(self, input: StartWorkflowInput) -> WorkflowHandle[Any, Any]:
        input.task_timeout = TASK_TIMEOUT
        for run in input.args:
            if isinstance(run, OrderRun) and run.patience == Patience():
                object.__setattr__(run, "patience", PATIENCE)
        return await super().start_workflow(input)
