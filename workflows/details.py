"""What the Temporal UI shows of an order: search attributes and the run's details, in words an operator needs."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from temporalio.common import SearchAttributeUpdate

from domain.order import State
from domain.plan import StepState
from workflows import search_attributes
from workflows.messages import OrderRun
from workflows.progress import OrderProgress, Undecided

SHOWN_STEPS = 60
SHOWN_FALLOUTS = 10
_SIGN = {StepState.DONE: "✓", StepState.HELD: "✗", StepState.IN_PROGRESS: "…", StepState.SKIPPED: "skipped"}


@dataclass(frozen=True, slots=True)
class Shown:
    """The part of an order's progress that can be searched for."""

    state: State
    attention: bool = False
    step: str = ""
    error: str = ""

    @classmethod
    def of(cls, progress: OrderProgress) -> "Shown":
        """What can be searched for now: the first fallout, else what is tried again by itself."""
        if progress.unapproved:
            return cls(progress.state, attention=True, error=f"approval: {'; '.join(progress.unapproved)}"[:200])
        step, error = progress.trouble or ("", "")
        for finding, *_ in progress.help_wanted.values():
            step, error = finding.step or "", f"{finding.code}: {finding.message}"
        for undecided in progress.undecided.values():
            fallout = undecided.fallout
            error = f"{fallout.code}: {fallout.message}"
            return cls(progress.state, attention=True, step=fallout.step, error=error[:200])
        attention = progress.alarm or bool(progress.help_wanted)
        return cls(progress.state, attention=attention, step=step, error=error[:200])


def first_shown(run: OrderRun, now: datetime) -> Shown:
    """What a run is started with: it is in progress, or waits to be approved or for its requested start."""
    waits = bool(run.approvals) or (run.requested_start is not None and run.requested_start > now)
    return Shown(state=State.PENDING if waits else State.IN_PROGRESS)


def updates(before: Shown, after: Shown) -> list[SearchAttributeUpdate[Any]]:
    """The search attributes that differ."""
    found: list[SearchAttributeUpdate[Any]] = []
    if after.state != before.state:
        found.append(search_attributes.STATE.value_set(after.state.value))
    if after.attention != before.attention:
        found.append(search_attributes.ATTENTION.value_set(after.attention))
    for key, old, new in (
        (search_attributes.STEP, before.step, after.step),
        (search_attributes.ERROR, before.error, after.error),
    ):
        if new != old:
            found.append(key.value_set(new) if new else key.value_unset())
    return found


def details(run: OrderRun, progress: OrderProgress) -> str:
    """The order on one page, in Markdown: what waits and why, the exact JSON to send, and every step."""
    parts = [f"**Order {run.number}** of account `{run.account}`: **{progress.state}**"]
    if progress.notice:
        parts.append(progress.notice)
    if progress.unapproved:
        parts.append(_ask_approval(progress.unapproved))
    parts += [_ask(x, progress.allowed(x)) for x in islice(progress.undecided.values(), SHOWN_FALLOUTS)]
    if len(progress.undecided) > SHOWN_FALLOUTS:
        parts.append(f"And {len(progress.undecided) - SHOWN_FALLOUTS} more: `orderloom fallouts --order {run.number}`.")
    parts += [f"**{x.step} needs somebody**: {x.code}: {x.message}" for x, *_ in progress.help_wanted.values()]
    if progress.trouble is not None and not progress.undecided:
        step, message = progress.trouble
        parts.append(f"Waiting at `{step}`: {message}. It is tried again by itself.")
    if progress.steps:
        parts.append("\n".join(["| | step | line |", "| --- | --- | --- |", *_rows(progress)]))
    return "\n\n".join(parts)


def _ask_approval(needed: Sequence[str]) -> str:
    answer = {"decision": "approve", "actor": "your name", "reason": "why"}
    asked = "\n".join(f"- {x}" for x in needed)
    return (
        f"**Waits for approval**:\n\n{asked}\n\n"
        f"Say so with the Update `approval` (approve or reject):\n\n{_json(answer)}"
    )


def _rows(progress: OrderProgress) -> Iterator[str]:
    for step in islice(progress.steps.values(), SHOWN_STEPS):
        item = step.item
        yield f"| {_SIGN.get(step.state, '')} | {item.function} | {progress.title([item])} |"
    if len(progress.steps) > SHOWN_STEPS:
        yield f"| | … | and {len(progress.steps) - SHOWN_STEPS} more steps |"


def _ask(undecided: Undecided, decisions: Sequence[str]) -> str:
    fallout, at = undecided.fallout, undecided.actual
    opened = undecided.opened
    due = f", priority {opened.priority}, due {opened.due_at:%Y-%m-%d %H:%M} UTC" if opened else ""
    since = f"If it is skipped, it has been done since {at:%Y-%m-%d %H:%M} UTC.\n\n" if at else ""
    answer = {"fallout": fallout.id, "decision": decisions[0], "actor": "your name", "reason": "why"}
    return (
        f"**Fallout {fallout.id}** ({fallout.type}{due}) at `{fallout.step}`: {fallout.code}: {fallout.message}\n\n"
        f"{since}Decide with the Update `resolve` (one of: {', '.join(decisions)}):\n\n"
        f"{_json(answer)}"
    )


def _json(answer: Mapping[str, str]) -> str:
    """A field a line, made in a tenth of the time that ``json`` takes to indent: a run says this often."""
    fields = ",\n".join(f" {json.dumps(name)}: {json.dumps(value)}" for name, value in answer.items())
    return f"```json\n{{\n{fields}\n}}\n```"
