"""The legacy system's cluster and network as the program describes them."""

from __future__ import annotations

import json


def cluster(stack):
    return stack.one("rds/cluster:Cluster")["inputs"]


def test_the_cluster_is_aurora_mysql_serverless_v2_that_pauses_after_five_minutes(stack):
    found = cluster(stack)
    assert (found["engine"], found["engineMode"]) == ("aurora-mysql", "provisioned")
    assert found["engineVersion"].startswith("8.0.mysql_aurora.3.")
    scaling = {"minCapacity": 0, "maxCapacity": 16, "secondsUntilAutoPause": 300}
    assert found["serverlessv2ScalingConfiguration"] == scaling
    assert stack.one("clusterInstance:ClusterInstance")["inputs"]["instanceClass"] == "db.serverless"


def test_a_cluster_that_never_rests_at_zero_has_no_pause(describe):
    scaling = cluster(describe(minCapacity="0.5", maxCapacity="4"))["serverlessv2ScalingConfiguration"]
    assert scaling == {"minCapacity": 0.5, "maxCapacity": 4}


def test_the_cluster_has_the_data_api_a_managed_password_and_encrypted_storage(stack):
    found = cluster(stack)
    assert found["enableHttpEndpoint"] is found["manageMasterUserPassword"] is found["storageEncrypted"] is True
    assert "masterPassword" not in found


def test_backups_are_kept_longer_in_production(stack, production):
    assert 1 <= cluster(stack)["backupRetentionPeriod"] < cluster(production)["backupRetentionPeriod"]
    assert cluster(stack)["copyTagsToSnapshot"] is True


def test_changes_wait_for_the_maintenance_window_in_production_only(stack, production):
    assert (cluster(stack)["applyImmediately"], cluster(production)["applyImmediately"]) == (True, False)


def test_the_engine_is_upgraded_by_the_setting_only(stack):
    assert stack.one("clusterInstance:ClusterInstance")["inputs"]["autoMinorVersionUpgrade"] is False


def test_triggers_can_be_made_beside_a_binary_log(stack):
    group = stack.one("clusterParameterGroup:ClusterParameterGroup")["inputs"]
    assert group["family"] == "aurora-mysql8.0"
    assert {"name": "log_bin_trust_function_creators", "value": "1"} in group["parameters"]


def test_a_value_that_does_not_fit_is_refused_in_every_session(stack):
    group = stack.one("clusterParameterGroup:ClusterParameterGroup")["inputs"]
    modes = next(each["value"] for each in group["parameters"] if each["name"] == "sql_mode")
    assert "STRICT_TRANS_TABLES" in modes.split(",")


def test_the_network_has_two_zones_and_no_way_in_or_out(stack):
    assert {each["inputs"]["availabilityZone"] for each in stack.of("subnet:Subnet")} == {"us-east-1a", "us-east-1b"}
    kinds = {each["type"].rpartition(":")[2] for each in stack.resources}
    assert not kinds & {"InternetGateway", "NatGateway", "VpcEndpoint", "Route", "RouteTable"}


def test_the_database_lets_in_what_has_the_group_of_its_clients_which_leads_nowhere_else(stack):
    database = stack.one("securityGroup:SecurityGroup", "database")["inputs"]
    clients = stack.one("securityGroup:SecurityGroup", "clients")["inputs"]
    port = {"protocol": "tcp", "fromPort": 3306, "toPort": 3306}
    assert database["ingress"] == [{**port, "securityGroups": ["streamback-dev-legacy-network-clients-id"]}]
    assert clients["egress"] == [{**port, "cidrBlocks": ["10.0.0.0/24"]}]
    assert not database.get("egress")
    assert not clients.get("ingress")
    assert stack.one("cluster:Cluster")["inputs"]["vpcSecurityGroupIds"] == [
        "streamback-dev-legacy-network-database-id"
    ]


def test_only_the_session_function_is_in_the_network_and_may_do_nothing_else(stack):
    inside = [each for each in stack.of("function:Function") if each["inputs"].get("vpcConfig")]
    assert [each["name"] for each in inside] == ["streamback-dev-bridge-session"]
    network = inside[0]["inputs"]["vpcConfig"]
    assert network["securityGroupIds"] == ["streamback-dev-legacy-network-clients-id"]
    assert len(network["subnetIds"]) == 2
    rights = stack.one("rolePolicy:RolePolicy", "bridge-session")["inputs"]["policy"]
    actions = {action for statement in json.loads(rights)["Statement"] for action in statement["Action"]}
    assert {action.partition(":")[0] for action in actions} == {"ec2", "logs"}
