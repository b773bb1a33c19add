"""A shop in a sandbox with the stack that has adopted it, and its clients."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runbook.aws.outputs import EntityTarget
from runbook.stack import Context, resolve
from sandbox.brownfield.system import ENTITY, Shop
from sandbox.engine.aws import Aws
from sandbox.lifecycle import Sandbox
from sandbox.load.client import Answer, Client, Endpoint


@dataclass(frozen=True)
class ShopWorld:
    sandbox: Sandbox
    shop: Shop

    @property
    def account(self) -> Aws:
        return Aws(self.sandbox.outputs["endpointUrl"])

    @property
    def context(self) -> Context:
        return Context.of(resolve(outputs=self.sandbox.location.outputs))

    @property
    def entity(self) -> EntityTarget:
        return self.context.target.entity(ENTITY)

    def send(self, method: str, path: str, body: Any = None, query: str = "") -> Answer:
        return Client(Endpoint(self.sandbox.outputs["apiUrl"], "us-east-1")).send(method, path, query, body)

    def invoke(self, function: str, event: Mapping[str, Any]) -> dict[str, Any]:
        """What a function answers to an event, past the API."""
        answer = self.sandbox.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event))
        return json.loads(answer["Payload"].read())

    def runbook(self, *words: str) -> str:
        command = [str(Path(sys.executable).parent / "runbook"), *words]
        ended = subprocess.run(
            [*command, "--outputs", str(self.sandbox.location.outputs)], capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout


def order(**fields: Any) -> dict[str, Any]:
    """The body of a POST or PUT."""
    made = {"order_id": str(uuid.uuid4()), "customer_id": "test", "status": "open", "total_cents": 5}
    return {"data": {**made, "reference": "PO", "note": "n", **fields}}


def written_event(body: Any) -> dict[str, Any]:
    """What a writer gets of a POST."""
    return {"httpMethod": "POST", "resource": "/v2/orders", "path": "/v2/orders", "body": json.dumps(body)}
