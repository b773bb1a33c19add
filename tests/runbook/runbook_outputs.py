"""Stack outputs as the program gives them, for tests that need no deployed stack."""

from __future__ import annotations

ENTITY = "chefs"
MAPPING = {
    ENTITY: {
        "legacy": {"database": "chefdb", "table": "cheftable", "key": "id"},
        "modern": {"table": "chef", "key": "ChefId"},
        "fields": {
            "firstName": {"column": "cheffirst", "type": "string", "default": "Gordon", "max_length": 255},
            "lastName": {"column": "cheflast", "type": "string", "default": "Ramsay", "max_length": 255},
        },
    }
}


def outputs(endpoint: str, **more) -> dict:
    """Stack outputs as the program gives them."""
    return {
        "stack": "test",
        "region": "us-east-1",
        "production": False,
        "parts": ["legacy", "modern", "bridge"],
        "apiUrl": f"{endpoint}/restapis/none/prod/_user_request_",
        "apiId": "none",
        "stageName": "prod",
        "apiAuth": "AWS_IAM",
        "mapping": MAPPING,
        "journalTable": "journal",
        "clusterArn": "arn:cluster",
        "masterSecretArn": "arn:secret",
        "legacyInitFunction": "init-1",
        "legacyReadFunction": "legacy-read-1",
        "legacyWriteFunction": "legacy-write-1",
        "entities": {ENTITY: {"modernTable": "chef", "readFunction": "read-1", "writeFunction": "write-1"}},
        "endpointUrl": endpoint,
        "accessKeyId": "test",
        "secretAccessKey": "test",
        **more,
    }
