"""Services that reach their end with no order: they are disconnected by an order of ours (2.5)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from temporalio import activity

from activities.messages import EndingsSeen
from activities.watch import WorkList
from domain.fallout import FalloutType, Finding
from domain.violation import Violation

FIRST = "00000000-0000-0000-0000-000000000000"
AT_ONCE = 200
"""So many trees are asked for at once."""
AT_MOST = 2_000
"""So many are disconnected in one go; the next one goes on."""
CODE = "SERVICE_END"
SUBJECT = "service_end:"


class Endings(Protocol):
    """What has reached its service end."""

    def reached(self, *, now: datetime, after: str, limit: int) -> Sequence[str]:
        """Root assets of trees in which something has reached its end and is not being disconnected, in their order."""
        ...

    def end(self, root: str, *, now: datetime) -> tuple[Violation, ...]:
        """Store the order that disconnects what has reached its end in a tree; what it breaks, if it may not be."""
        ...


@dataclass(frozen=True)
class EndingActivities:
    """Ends what has reached its end; ``clock`` says when is now."""

    endings: Endings
    work_list: WorkList
    clock: Callable[[], datetime]

    @activity.defn(name="end_services", no_thread_cancel_exception=True)
    def end_services(self) -> EndingsSeen:
        """Have all that has reached its end be disconnected; what cannot be is on the work list until it can."""
        now, after = self.clock(), FIRST
        ended, refused = 0, dict[str, Finding]()
        while ended + len(refused) < AT_MOST and (roots := self.endings.reached(now=now, after=after, limit=AT_ONCE)):
            for root in roots:
                violations = self.endings.end(root, now=now)
                if violations:
                    refused[f"{SUBJECT}{root}"] = _finding(root, violations)
                ended += not violations
            after = roots[-1]
        known = {x for x in self.work_list.found(FalloutType.SYSTEM) if x.startswith(SUBJECT)}
        self.work_list.open(x for subject, x in refused.items() if subject not in known)
        self.work_list.close(known - refused.keys(), reason="it is not so any more")
        return EndingsSeen(ended=ended, refused=len(refused))


def _finding(root: str, violations: tuple[Violation, ...]) -> Finding:
    told = "; ".join(f"{x.code}: {x.message}" for x in violations)
    message = f"asset {root} has reached its service end and cannot be disconnected: {told}"
    return Finding(subject=f"{SUBJECT}{root}", type=FalloutType.SYSTEM, code=CODE, message=message[:500])
