"""What a consumer asks of Assay's GraphQL API."""

import base64
import json
import urllib.error
import urllib.request
from typing import Any

# Events of one answer.
PAGE = 100

QUERY = """query ($id: ID!, $page: Int!, $after: Int!) {
  experiment(id: $id) {
    events(first: $page, afterSequence: $after) {
      edges { node { sequence at kind message state experimentState run { id } } }
    }
  }
}"""


class AssayApi:
    """The API at one address, with one key."""

    def __init__(self, url: str, key: str) -> None:
        """Remembers where the API is and who asks."""
        self._url = f"{url.rstrip('/')}/graphql"
        self._key = key

    def events_after(self, experiment_id: str, after_sequence: int) -> list[dict[str, Any]] | None:
        """A page of events of the experiment after a sequence, in order; None for one that the key may not see.

        Raises:
            ConnectionError: the API answered, but not with events.
            urllib.error.URLError: the API is away or refused the key.
        """
        node_id = base64.urlsafe_b64encode(f"Experiment:{experiment_id}".encode()).decode().rstrip("=")
        body = json.dumps({"query": QUERY, "variables": {"id": node_id, "page": PAGE, "after": after_sequence}}).encode()
        headers = {"content-type": "application/json", "authorization": f"Bearer {self._key}"}
        request = urllib.request.Request(self._url, body, headers)
        with urllib.request.urlopen(request, timeout=10) as response:
            answer = json.load(response)
        if answer.get("data") is None or answer.get("errors"):
            raise ConnectionError(f"wanted events, but got {answer.get('errors')}")
        experiment = answer["data"]["experiment"]
        return None if experiment is None else [edge["node"] for edge in experiment["events"]["edges"]]
