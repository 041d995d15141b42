"""One side effect per method, safe to repeat.

Each module says as a ``Protocol`` what it needs of its neighbour, derives the idempotency key, and sorts what came back
into answer, retry, give up and outcome unknown. Knows neither ``adapters`` nor ``models``.
"""
