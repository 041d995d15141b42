"""The statements with which an order's own rows change, by what they are about (``models.records``)."""
