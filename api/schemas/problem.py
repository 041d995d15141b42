"""Problems as they go over the wire (RFC 9457)."""

from pydantic import ConfigDict, Field

from api.schemas.shape import Answer


class ViolationAnswer(Answer):
    """One broken rule: its code, the requirement row, and where it is."""

    code: str
    rule: str
    message: str
    line: str | None = None
    product: str | None = None
    field: str | None = None


class ProblemAnswer(Answer):
    """What went wrong; `instance` identifies the request in the log."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": "urn:orderloom:problem:rules-are-broken",
                "title": "Rules are broken",
                "status": 422,
                "instance": "urn:uuid:0b8c7c0e-7a4f-4d0e-9d0a-3a1b7c7f6a52",
                "detail": "Nothing was stored; mend all violations and send it again.",
                "violations": [
                    {
                        "code": "ACCT_MISMATCH",
                        "rule": "B22",
                        "line": "1.2",
                        "field": "billing_account",
                        "message": "The billing account must be that of the service bundle the line stands in.",
                    }
                ],
            }
        }
    )

    type: str
    title: str
    status: int
    instance: str
    detail: str | None = None
    violations: list[ViolationAnswer] = Field(default_factory=list)
