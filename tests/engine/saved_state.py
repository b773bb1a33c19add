"""Keeps of a stack's state what holds data, what leads to it, and what these name.

For each release: `sandbox pulumi -- stack export | python tests/engine/saved_state.py`, into `states/VERSION.json`.
"""

from __future__ import annotations

import json
import sys

HOLDS_DATA = ("Table", "Cluster", "ClusterInstance", "Bucket", "Secret")
LEADS_THERE = ("EventSourceMapping", "RestApi", "Schedule", "Stage")  # what clients call, and what the runbook switches
LEFT_OUT = {"created", "modified", "sourcePosition", "stackTrace"}


def is_kept(resource):
    return resource["type"].rsplit(":", 1)[-1] in {*HOLDS_DATA, *LEADS_THERE}


def without_code(properties):
    """The properties of a resource, less the files of a function, which are most of a state."""
    return {name: value for name, value in properties.items() if name != "code"}


def names_of(resource):
    """The URNs of what a resource names."""
    provider = resource.get("provider", "").rpartition("::")[0]
    return {*resource.get("dependencies", []), resource.get("parent"), provider} - {None, ""}


def saved(document):
    """The document with no more than that."""
    resources = document["deployment"]["resources"]
    wanted = {each["urn"] for each in resources if is_kept(each)}
    for each in reversed(resources):  # what is named stands before
        wanted |= names_of(each) if each["urn"] in wanted else set()
    kept = [
        {
            name: without_code(value) if name in {"inputs", "outputs"} else value
            for name, value in each.items()
            if name not in LEFT_OUT
        }
        for each in resources
        if each["urn"] in wanted
    ]
    manifest = {"time": "2026-01-01T00:00:00Z", "magic": "", "version": ""}
    return {"version": document["version"], "deployment": {"manifest": manifest, "resources": kept}}


if __name__ == "__main__":
    json.dump(saved(json.load(sys.stdin)), sys.stdout, indent=1, sort_keys=True)
    sys.stdout.write("\n")
