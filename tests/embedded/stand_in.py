"""Stands in for the parts: `migrate` makes a table, `worker` waits, `server` answers every question with 200.

Each writes what happens to it into the file STAND_IN_DIARY: `worker started`, `worker stopped`.
"""

import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import FrameType
from typing import NoReturn

import psycopg2


class _Yes(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()


def _note(event: str) -> None:
    with Path(os.environ["STAND_IN_DIARY"]).open("a") as diary:
        diary.write(f"{event}\n")


def _stop(_signal: int, _frame: FrameType | None) -> NoReturn:
    _note(f"{sys.argv[1]} stopped")
    sys.exit()


if __name__ == "__main__":
    part = sys.argv[1]
    _note(f"{part} started")
    signal.signal(signal.SIGTERM, _stop)
    if part == "migrate":
        owner = psycopg2.connect(os.environ["ORDERLOOM_OWNER_DATABASE_URL"].replace("+psycopg2", ""))
        with owner, owner.cursor() as cursor:
            cursor.execute("CREATE TABLE IF NOT EXISTS kept (what text)")
        owner.close()
    elif part == "server":
        HTTPServer(("127.0.0.1", int(os.environ["ORDERLOOM_API_PORT"])), _Yes).serve_forever()
    elif part == "worker":
        while True:
            signal.pause()
