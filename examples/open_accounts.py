"""Open the accounts of a file over HTTP; ORDERLOOM_API names the API."""

import json
import os
import sys
from pathlib import Path

import httpx

API = os.environ.get("ORDERLOOM_API", "http://127.0.0.1:8000")


def main(file: str) -> None:
    """Open every account, then every billing profile; run twice, it opens nothing twice."""
    customers = json.loads(Path(file).read_text())
    with httpx.Client(base_url=API) as http:
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
    main(sys.argv[1])
