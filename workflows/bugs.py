"""Errors that are our own fault."""

BUGS = (
    "AssertionError",
    "AttributeError",
    "DataError",
    "IndexError",
    "IntegrityError",
    "KeyError",
    "NotImplementedError",
    "ProgrammingError",
    "TypeError",
    "ValidationError",
    "ValueError",
)
"""Error types that no repetition mends: a person is asked at once."""
