"""What an operator can look orders up by in the Temporal UI; nothing personal, for they are not encrypted."""

from typing import Any

from temporalio.common import SearchAttributeKey

ORDER = SearchAttributeKey.for_keyword("OrderId")
ACCOUNT = SearchAttributeKey.for_keyword("OrderAccount")
STATE = SearchAttributeKey.for_keyword("OrderState")
ATTENTION = SearchAttributeKey.for_bool("NeedsAttention")
STEP = SearchAttributeKey.for_keyword("OrderStep")
ERROR = SearchAttributeKey.for_keyword("OrderError")
DUE = SearchAttributeKey.for_datetime("OrderDue")

ALL: tuple[SearchAttributeKey[Any], ...] = (ORDER, ACCOUNT, STATE, ATTENTION, STEP, ERROR, DUE)
