"""How a step is sent: a quick attempt first, and a durable one for what must not be forgotten or needs patience.

The quick attempt is a local activity: it costs one line of history, and should the worker die before that line is
written, it simply happens again under the same key. Two kinds of steps must never be sent that way first: one past
which there is no return, for it has to be on record before it is sent (otherwise a cancellation could be accepted after
it), and one that an earlier attempt has left in doubt.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    FailureError,
    TimeoutError,  # noqa: A004 - Temporal's own
)

from workflows.bugs import BUGS
from workflows.messages import Patience

Result = TypeVar("Result")


async def quickly(activity: str, argument: object, *, result: type[Result], patience: Patience, summary: str) -> Result:
    """One quick attempt; raises ``FailureError`` when it does not succeed at once."""
    answer: Any = await workflow.execute_local_activity(
        activity,
        argument,
        result_type=result,
        start_to_close_timeout=timedelta(seconds=patience.first_s),
        retry_policy=RetryPolicy(maximum_attempts=1),
        summary=summary,
    )
    return answer  # type: ignore[no-any-return]


async def durably_once(
    activity: str, argument: object, *, result: type[Result], patience: Patience, summary: str
) -> Result:
    """One attempt that is on record before it is sent; its failure is seen, and decided about, by the caller."""
    answer: Any = await workflow.execute_activity(
        activity,
        argument,
        result_type=result,
        start_to_close_timeout=timedelta(seconds=patience.attempt_s),
        retry_policy=RetryPolicy(maximum_attempts=1),
        summary=summary,
    )
    return answer  # type: ignore[no-any-return]


async def durably(
    activity: str,
    argument: object,
    *,
    result: type[Result],
    patience: Patience,
    summary: str,
    unless: Callable[[], bool] | None = None,
) -> Result:
    """On record before it is sent, and sent again with growing pauses until it succeeds or patience ends.

    Once ``unless`` is true the attempt under way may still succeed, but is the last one.
    """
    endless = patience.give_up_s is None
    handle: Any = workflow.start_activity(
        activity,
        argument,
        result_type=result,
        start_to_close_timeout=timedelta(seconds=patience.attempt_s),
        schedule_to_close_timeout=None if patience.give_up_s is None else timedelta(seconds=patience.give_up_s),
        retry_policy=RetryPolicy(
            initial_interval=timedelta(seconds=patience.pause_s),
            maximum_interval=timedelta(seconds=patience.longest_pause_s),
            non_retryable_error_types=() if endless else BUGS,
        ),
        cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        summary=summary,
    )
    if unless is not None:
        await workflow.wait_condition(lambda: handle.done() or unless())
        if not handle.done():
            handle.cancel()
    return await handle  # type: ignore[no-any-return]


async def surely(activity: str, argument: object, *, result: type[Result], patience: Patience, summary: str) -> Result:
    """Quickly if that succeeds, durably otherwise; and then for as long as it takes: for our own records."""
    with suppress(FailureError):
        return await quickly(activity, argument, result=result, patience=patience, summary=summary)
    return await durably(activity, argument, result=result, patience=replace(patience, give_up_s=None), summary=summary)


@dataclass(frozen=True, slots=True)
class Failure:
    """What an operator is told of an attempt that failed; ``step`` when the activity named it.

    ``pause`` is for how long the neighbour wants not to be asked.
    """

    code: str
    message: str
    step: str | None
    pause: timedelta | None = None


def will_heal(error: FailureError) -> bool:
    """Whether sending it again may help: a time-out or a surprise does, what can never work does not."""
    cause = _origin(error)
    return not (isinstance(cause, ApplicationError) and (cause.non_retryable or cause.type in BUGS))


def failure(error: FailureError) -> Failure:
    """What went wrong, in one code and one sentence."""
    match cause := _origin(error):
        case ApplicationError():
            step = cause.details[0] if cause.details and isinstance(cause.details[0], str) else None
            return Failure(cause.type or "Error", cause.message, step, cause.next_retry_delay)
        case TimeoutError(cause=ApplicationError() as last):
            return failure(last)
        case _:
            return Failure(type(cause).__name__, str(cause), None)


def _origin(error: FailureError) -> BaseException:
    """The error inside: a remote activity's comes wrapped, a local one's does not."""
    return error.cause or error if isinstance(error, ActivityError) else error
