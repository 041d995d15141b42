"""Open the accounts of a file over HTTP: `python examples/open_accounts.py examples/accounts.json [API]`."""

import json
import sys
from pathlib import Path

import httpx

from cli.whereabouts import running_api


def main(file: str, api: str | None = None) -> None:
    """Open every account, then every billing profile; run twice, it opens nothing twice."""
    customers = json.loads(Path(file).read_text())
    with httpx.Client(base_url=api or running_api() or "http://127.0.0.1:8000") as http:
        for account in customers["accounts"]:
            opened(http, "/v1/accounts", account)
        for profile in customers["billing_profiles"]:
            opened(http, f"/v1/accounts/{profile['account']}/billing-profiles", {"id": profile["id"]})


def opened(http: httpx.Client, path: str, body: dict[str, str | None]) -> None:
    """Send a document; the key says that it is the same one if it is sent again."""
    answer = http.post(path, json=body, headers={"Idempotency-Key": f"{path}/{body['id']}"})
    answer.raise_for_status()
    print(f"{body['id']}: {answer.headers['Location']}")


if __name__ == "__main__":
    main(*sys.argv[1:])
