"""What the processes log: one JSON line for each event, whatever is in it."""

import json
import subprocess
import sys

PROGRAM = """
import logging, structlog, observability
observability.configure()
structlog.contextvars.bind_contextvars(request="r-1", order="o-1")
structlog.get_logger("ours").warning("refused", value="one\\r\\ntwo\\x1b[31m")
logging.getLogger("theirs").warning("a library says %s", "three\\nfour")
try:
    1 / 0
except ZeroDivisionError:
    structlog.get_logger().exception("failed")
structlog.get_logger().debug("not worth a line")
"""


def test_every_event_is_one_json_line_with_its_request_and_order():
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True, text=True)  # noqa: S603

    ours, theirs, failed = map(json.loads, ended.stderr.splitlines())
    assert ended.stdout == ""
    assert (ours["event"], ours["level"], ours["request"], ours["order"]) == ("refused", "warning", "r-1", "o-1")
    assert ours["value"] == "one\r\ntwo\x1b[31m"
    assert (theirs["event"], theirs["level"], theirs["order"]) == ("a library says three\nfour", "warning", "o-1")
    assert "ZeroDivisionError" in failed["exception"]
