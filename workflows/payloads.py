"""How what is said to runs and activities is written down: JSON, read back as the types it is declared to be."""

from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import CompositePayloadConverter, DataConverter

_LEARNED = PydanticPayloadConverter()


class Payloads(CompositePayloadConverter):
    """Pydantic's converter, which learns each type once: Temporal makes a converter for every run.

    Left alone, each of them would learn all types anew, at a millisecond a type.
    """

    def __init__(self) -> None:
        """Share what was learned."""
        super().__init__(*_LEARNED.converters.values())


DATA_CONVERTER = DataConverter(payload_converter_class=Payloads)
"""For every client and worker of ours."""
