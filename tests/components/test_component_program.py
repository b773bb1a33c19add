"""The unmodified program as a whole: what each stack is made of, tagged, protected and handed to the runbook."""

from __future__ import annotations

import json
from pathlib import Path

import pulumi_aws as aws
import pytest

from components.deploying import DEPLOYING, REST_API
from components.function import archive
from functions.domain import names
from policy.operations import TAGGED
from runbook.aws import outputs as target

ROOT = Path(__file__).parents[2]
SPECIMENS = str(ROOT / "tests" / "entities.toml")
LEGACY, MODERN = '["legacy"]', '["legacy", "modern"]'
HOLD_DATA = ("rds/cluster:Cluster", "clusterInstance:ClusterInstance", "table:Table", "bucket:Bucket")
PARENTLESS = {"LegacySystem", "ModernSystem", "StreamBridge", "Copy", "Gate", "Journal", "Api"}


def last(kind):
    return kind.rpartition(":")[2]


def takes_tags(kind):
    """Whether the provider's class has an argument for tags."""
    module, _, name = kind.removeprefix("aws:").partition(":")
    package_name = module.split("/")[0]
    members = getattr(aws, "lambda_" if package_name == "lambda" else package_name)
    return hasattr(getattr(members, name), "tags")


def test_the_parts_are_switched_on_in_the_articles_order(describe, stack):
    def components(found):
        return {last(each["type"]) for each in found.resources if not each["custom"]} & PARENTLESS

    alone, two = describe(parts=LEGACY), describe(parts=MODERN)
    assert components(alone) == {"LegacySystem", "Journal", "Api"}
    assert components(two) == components(alone) | {"ModernSystem"}
    assert components(stack) == components(two) | {"StreamBridge", "Copy", "Gate"}


def routes_of(resources):
    """{path: operations} of the REST API, of which nothing else changes."""
    (api,) = [each["inputs"] for each in resources.values() if last(each["type"]) == "RestApi"]
    return json.loads(api["body"])["paths"]


@pytest.mark.parametrize(("before", "after"), [(LEGACY, MODERN), (MODERN, '["legacy", "modern", "bridge"]')])
def test_a_further_part_adds_and_replaces_nothing_but_the_deployment(describe, before, after):
    old, new = ({each["urn"]: each for each in describe(parts=parts).resources} for parts in (before, after))
    changed = {last(each["type"]) for urn, each in old.items() if each["inputs"] != new[urn]["inputs"]}
    assert changed <= {"Deployment", "RestApi"}
    assert routes_of(old).items() <= routes_of(new).items()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of provider classes that are only looked at
def test_every_resource_that_can_have_tags_has_the_stacks_and_the_users(production):
    untagged = {
        each["name"]
        for each in production.resources
        if each["custom"]
        and takes_tags(each["type"])
        and {"streamback:stack": "dev", "owner": "kitchen"}.items() - each["inputs"].get("tags", {}).items()
    }
    assert not untagged


def test_the_deploying_role_knows_every_type(production):
    kinds = {each["type"] for each in production.resources if each["custom"]}
    of_the_api = {kind for kind in kinds if kind.startswith("aws:apigateway/")}  # all have the rights of RestApi
    assert (kinds - of_the_api) | {REST_API} == DEPLOYING.keys()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # likewise
def test_the_policy_asks_for_tags_on_all_of_them(production):
    kinds = {each["type"] for each in production.resources if each["custom"]}
    assert {kind for kind in kinds if takes_tags(kind)} == set(TAGGED)


@pytest.mark.parametrize("kind", ["stage:Stage", "eventSourceMapping:EventSourceMapping"])
def test_production_protects_what_a_destroy_would_take_first(production, kind):
    assert all(each["protect"] for each in production.of(kind))


def test_production_protects_what_holds_data(production):
    for kind in HOLD_DATA:
        assert all(each["protect"] for each in production.of(kind)), kind


def test_production_cannot_lose_cluster_and_tables_by_a_call_to_aws_either(production):
    assert production.one("rds/cluster:Cluster")["inputs"]["deletionProtection"] is True
    assert len(production.of("table:Table")) == 3
    assert all(each["inputs"]["deletionProtectionEnabled"] is True for each in production.of("table:Table"))
    assert production.one("bucket:Bucket")["inputs"]["forceDestroy"] is False


def test_production_leaves_a_final_snapshot(production):
    cluster = production.one("rds/cluster:Cluster")["inputs"]
    assert cluster["skipFinalSnapshot"] is False
    assert cluster["finalSnapshotIdentifier"] == "streamback-dev-legacy-final"


def test_elsewhere_everything_can_be_destroyed(stack):
    assert not [each["name"] for each in stack.resources if each["protect"]]
    cluster = stack.one("rds/cluster:Cluster")["inputs"]
    assert (cluster["skipFinalSnapshot"], cluster["deletionProtection"]) == (True, False)
    assert stack.one("bucket:Bucket")["inputs"]["forceDestroy"] is True


def test_every_table_can_be_restored_to_a_point_in_time(stack):
    assert all(each["inputs"]["pointInTimeRecovery"] == {"enabled": True} for each in stack.of("table:Table"))


def test_logs_have_a_retention_that_is_longer_in_production(stack, production):
    assert {each["inputs"]["retentionInDays"] for each in stack.of("logGroup:LogGroup")} == {30}
    assert {each["inputs"]["retentionInDays"] for each in production.of("logGroup:LogGroup")} == {365}


def test_every_function_logs_to_a_group_of_its_own(stack):
    groups = [each["inputs"]["loggingConfig"]["logGroup"] for each in stack.of("function:Function")]
    assert len(set(groups)) == len(groups) == len(stack.of("logGroup:LogGroup")) == 10


def test_every_function_waits_for_its_rights(stack):
    for function in stack.of("function:Function"):
        assert any(urn.endswith(f"::{function['name']}-rights") for urn in function["depends"])


def test_functions_run_python_on_arm_from_one_archive_with_powertools(stack):
    common = stack.one("function:Function", "legacy-read")["inputs"]["code"]
    for function in stack.of("function:Function"):
        inputs = function["inputs"]
        assert (inputs["runtime"], inputs["architectures"]) == ("python3.13", ["arm64"])
        assert inputs["layers"][0].startswith("arn:aws:lambda:us-east-1:017000801446:layer:AWSLambdaPowertools")
        assert inputs["code"] == common or function["name"] == "streamback-dev-bridge-session"


def test_the_session_functions_archive_has_mysqls_driver_and_the_authorities_besides(stack):
    common = stack.one("function:Function", "legacy-read")["inputs"]["code"]["assets"]
    found = stack.one("function:Function", "bridge-session")["inputs"]["code"]["assets"]
    more = found.keys() - common.keys()
    assert {"pymysql/__init__.py", "pymysql/connections.py", "database-ca.pem"} <= more
    assert all(path.startswith("pymysql/") for path in more - {"database-ca.pem"})
    assert {path: found[path] for path in common} == common
    assert found["database-ca.pem"]["path"].endswith("functions/install/rds-ca.pem")


def test_another_file_of_authorities_can_be_named(describe):
    found = describe(databaseCaFile="functions/install/../install/rds-ca.pem").one(
        "function:Function", "bridge-session"
    )
    assert found["inputs"]["code"]["assets"]["database-ca.pem"]["path"].endswith("install/../install/rds-ca.pem")


def test_the_layer_can_be_left_out(describe):
    functions = describe(powertoolsLayerArn="").of("function:Function")
    assert all(not each["inputs"].get("layers") for each in functions)


def test_every_handler_is_in_the_archive(stack):
    for function in stack.of("function:Function"):
        module, _, name = function["inputs"]["handler"].rpartition(".")
        assert name == "handler"
        assert f"{module.replace('.', '/')}.py" in function["inputs"]["code"]["assets"]


def test_the_archive_has_the_sources_and_the_mapping_and_nothing_else():
    held = archive(ROOT, Path(SPECIMENS)).assets
    assert [path for path in held if not path.endswith(".py")] == ["entities.toml"]
    assert all(path.startswith("functions/") for path in held if path != "entities.toml")
    assert held["entities.toml"].path == SPECIMENS


def test_each_function_gets_the_variables_that_it_needs(stack):
    given = {
        each["name"].removeprefix("streamback-dev-"): {
            key: value
            for key, value in each["inputs"]["environment"]["variables"].items()
            if not key.startswith("POWERTOOLS")
        }
        for each in stack.of("function:Function")
    }
    outputs = stack.outputs
    master = {"CLUSTER_ARN": outputs["clusterArn"], "SECRET_ARN": outputs["masterSecretArn"]}
    modern = {"ENTITY": "chefs", "TABLE_NAME": "chef"}
    assert given == {
        "legacy-init": master,
        "legacy-read": master,
        "legacy-write": master,
        "modern-chefs-read": modern,
        "modern-chefs-write": modern
        | {
            "JOURNAL_TABLE": outputs["journalTable"],
            "LEGACY_WRITE_FUNCTION": outputs["legacyWriteFunction"],
            "OWN_TIMEOUT": "28",
        },
        "bridge-install": master
        | {"BRIDGE_SECRET_ARN": outputs["bridgeSecretArn"], "SESSION_FUNCTION": outputs["sessionFunction"]},
        "bridge-session": {"DATABASE_HOST": "aurora.invalid", "DATABASE_PORT": "3306"},
        "bridge-chefs-writer": {
            "CLUSTER_ARN": outputs["clusterArn"],
            "SECRET_ARN": outputs["bridgeSecretArn"],
            "ENTITY": "chefs",
            "QUARANTINE_TABLE": outputs["quarantineTable"],
        },
        "copy-worker": {
            "CLUSTER_ARN": outputs["clusterArn"],
            "SECRET_ARN": outputs["bridgeSecretArn"],
            "JOURNAL_TABLE": outputs["journalTable"],
            "QUARANTINE_TABLE": outputs["quarantineTable"],
            "TABLES": '{"chefs": "chef"}',
        },
        "gate-writes": {
            "JOURNAL_TABLE": outputs["journalTable"],
            "LEGACY_WRITE_FUNCTION": outputs["legacyWriteFunction"],
            "MODERN_WRITE_FUNCTIONS": json.dumps({"chefs": outputs["entities"]["chefs"]["writeFunction"]}),
            "LEGACY_WRITE_TIMEOUT": "60",
            "MODERN_WRITE_TIMEOUT": "28",
            "OWN_TIMEOUT": "29",
        },
    }


def test_the_bridge_runs_the_legacy_writers_own_code(stack):
    bridge = stack.one("function:Function", "bridge-chefs-writer")["inputs"]
    writer = stack.one("function:Function", "legacy-write")["inputs"]
    assert bridge["code"] == writer["code"]
    assert bridge["handler"] == "functions.bridge.handler.handler"  # gives an API event to the legacy writer's handler


def test_children_hang_on_their_component_and_components_register_their_outputs(stack):
    for each in stack.resources:
        if each["custom"]:
            assert "streamback:" in each["parent"], each["name"]
        else:
            assert each["type"].startswith("streamback:")
            assert each.get("registered"), each["name"]


def test_a_second_entity_needs_nothing_but_its_mapping(describe):
    made = describe(entitiesFile=SPECIMENS)
    assert sorted(made.outputs["entities"]) == ["chefs", "specimens"]
    table = made.one("table:Table", "specimens")["inputs"]
    assert (table["name"], table["hashKey"]) == ("specimen", "SpecimenId")
    assert len(made.of("eventSourceMapping:EventSourceMapping")) == 2


def test_table_names_carry_the_prefix(describe):
    assert describe(tablePrefix="try-").one("table:Table", "modern-chefs")["inputs"]["name"] == "try-chef"


def test_a_name_that_aws_would_refuse_is_refused_before_anything_is_made(run, tmp_path):
    long = "customers_with_a_name_that_is_too_long"
    text = (ROOT / "entities.toml").read_text()
    (tmp_path / "long.toml").write_text(text.replace("[chefs", f"[{long}"))
    done = run(entitiesFile=str(tmp_path / "long.toml"))
    assert done.returncode
    name = f"streamback-dev-bridge-{long}-writer"
    assert f"expected at most 56 characters for the function {name}, got {len(name)}" in done.stderr


def test_the_outputs_are_all_that_the_runbook_needs(stack):
    found = target.parse(stack.outputs, "the stack")
    assert found.parts == {"legacy", "modern", "bridge"}
    empty = {"endpoint_url", "access_key_id", "secret_access_key", "production", "api_adopted"}
    empty |= {"transport", "statement_function"}  # of a database without the Data API
    assert {name for name, value in vars(found).items() if not value} == empty
    assert {name for name, value in vars(found.entity("chefs")).items() if not value} == {
        "legacy_write_timeout",
        "table_adopted",
    }


def test_the_outputs_of_a_part_that_is_not_deployed_are_absent(describe):
    outputs = describe(parts=LEGACY).outputs
    assert outputs["parts"] == ["legacy"]
    bridges = {"quarantineTable", "bridgeSecretArn", "bridgeInstallFunction", "failureBucket"}
    assert not (bridges | {"copyFunction", "gateFunction"}) & outputs.keys()
    assert outputs["entities"] == {
        "chefs": {"readsVariable": names.reads_variable("chefs"), "writesVariable": names.writes_variable("chefs")}
    }
