"""What Schemathesis checks of this API beyond its own checks."""

from typing import Any

import schemathesis
from schemathesis import Case, CheckContext, Response


@schemathesis.check
def documented_shape_is_taken(_: CheckContext, response: Response, case: "Case[Any]") -> None:
    """A request of the documented shape may be refused by a rule, never for its shape."""
    if case.meta is None or case.meta.generation.mode.is_negative or response.status_code != 422:
        return
    codes = [violation["code"] for violation in response.json().get("violations", ())]
    assert "SHAPE" not in codes, response.text


@schemathesis.check
def refusals_are_problems(_: CheckContext, response: Response, __: "Case[Any]") -> None:
    """Whatever is refused, is refused as a problem."""
    if response.status_code >= 400:
        assert response.headers["content-type"] == ["application/problem+json"]
        assert response.json()["status"] == response.status_code
