"""The reference endpoint: commits one row, on the same server with the same pool: `python -m bench.bare_server`."""

import asyncio

import uvicorn
from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy import text

from server import POOL
from settings import Settings
from sql.connections import connect

TABLE = "CREATE TABLE orderloom.bench_rows (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text NOT NULL)"
_INSERT = text("INSERT INTO orderloom.bench_rows (note) VALUES (:note) RETURNING id")


class Row(BaseModel):
    """What is stored."""

    note: str


def create_app(settings: Settings) -> FastAPI:
    """One route, one row."""
    engine = connect(settings.database_url, pool_size=POOL)
    app = FastAPI()

    @app.post("/rows", status_code=201)
    def rows(row: Row) -> dict[str, int]:
        with engine.begin() as connection:
            return {"id": connection.execute(_INSERT, {"note": row.note}).scalar_one()}

    return app


async def run(settings: Settings) -> None:
    """Serve until SIGTERM, with as many threads as the API has."""
    current_default_thread_limiter().total_tokens = POOL - 1
    config = uvicorn.Config(
        create_app(settings), host=settings.api_host, port=settings.api_port, log_config=None, access_log=False
    )
    await uvicorn.Server(config).serve()


if __name__ == "__main__":
    asyncio.run(run(Settings()))
