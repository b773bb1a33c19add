"""Databases that the Data API does not serve: clusters with it off, and RDS for MySQL instances."""

from __future__ import annotations

import json

import pymysql
import pytest
from botocore.exceptions import ClientError

from sandbox.database import tls
from sandbox.engine import invokes
from sandbox.engine.aws import Aws


@pytest.fixture(scope="module")
def rds(sandbox):
    return sandbox.client("rds")


@pytest.fixture(scope="module")
def cluster(sandbox, rds):
    """A cluster that was made without the Data API."""
    made = rds.create_db_cluster(
        DBClusterIdentifier="closed",
        Engine="aurora-mysql",
        MasterUsername="closed_admin",
        ManageMasterUserPassword=True,
        DatabaseName="closed",
    )["DBCluster"]
    rds.create_db_instance(
        DBInstanceIdentifier="closed-1",
        DBClusterIdentifier="closed",
        Engine="aurora-mysql",
        DBInstanceClass="db.r6g.large",
    )
    yield made
    rds.delete_db_instance(DBInstanceIdentifier="closed-1")
    rds.delete_db_cluster(DBClusterIdentifier="closed", SkipFinalSnapshot=True)
    _drop(sandbox, "closed")


@pytest.fixture(scope="module")
def instance(sandbox, rds):
    """An RDS for MySQL instance whose parameter group sets a variable."""
    group = {"DBParameterGroupName": "plain"}
    rds.create_db_parameter_group(**group, DBParameterGroupFamily="mysql8.0", Description="plain")
    made = rds.create_db_instance(
        **group,
        DBInstanceIdentifier="plain",
        Engine="mysql",
        EngineVersion="8.0.42",
        DBInstanceClass="db.t4g.micro",
        AllocatedStorage=20,
        MasterUsername="plain_admin",
        ManageMasterUserPassword=True,
    )["DBInstance"]
    yield made
    rds.delete_db_instance(DBInstanceIdentifier="plain", SkipFinalSnapshot=True)
    rds.delete_db_parameter_group(**group)


def _drop(sandbox, database):
    with sandbox.database.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE {database}")


def _login(sandbox, made):
    found = sandbox.client("secretsmanager").get_secret_value(SecretId=made["MasterUserSecret"]["SecretArn"])
    return json.loads(found["SecretString"])


def _ask(sandbox, address, port, login, sql):
    """The one value of a query, over TLS as a client of the database sends it."""
    with (
        pymysql.connect(
            host=address,
            port=port,
            user=login["username"],
            password=login["password"],
            ssl_ca=str(sandbox.database.authority),
            ssl_verify_cert=True,
            ssl_verify_identity=True,
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(sql)
        return cursor.fetchone()[0]


def _execute(sandbox, arn, secret):
    return sandbox.client("rds-data").execute_statement(resourceArn=arn, secretArn=secret, sql="SELECT 1")


def _refusal(sandbox, arn, secret):
    with pytest.raises(ClientError) as raised:
        _execute(sandbox, arn, secret)
    return raised.value.response["Error"]


def test_a_cluster_serves_the_data_api_while_its_http_endpoint_is_on(sandbox, rds, cluster):
    arn, secret = cluster["DBClusterArn"], cluster["MasterUserSecret"]["SecretArn"]
    refused = {"Code": "HttpEndpointNotEnabledException", "Message": f"HttpEndpoint is not enabled for resource {arn}"}
    assert _refusal(sandbox, arn, secret) == refused
    rds.enable_http_endpoint(ResourceArn=arn)
    assert _execute(sandbox, arn, secret)["records"] == [[{"longValue": 1}]]
    rds.modify_db_cluster(DBClusterIdentifier="closed", EnableHttpEndpoint=False)
    assert _refusal(sandbox, arn, secret) == refused


def test_a_cluster_s_master_user_signs_in_over_tls_before_any_call_of_the_data_api(sandbox, cluster):
    login = _login(sandbox, cluster)
    asked = _ask(sandbox, cluster["Endpoint"], cluster["Port"], login, "SELECT CURRENT_USER()")
    assert asked == "closed_admin@%"
    found = _ask(sandbox, cluster["Endpoint"], cluster["Port"], login, "SHOW DATABASES LIKE 'closed'")
    assert found == "closed"


def test_after_a_rotation_only_the_new_password_of_a_cluster_is_good(sandbox, rds, cluster):
    before = _login(sandbox, cluster)
    rds.modify_db_cluster(DBClusterIdentifier="closed", RotateMasterUserPassword=True, ApplyImmediately=True)
    _rotated(sandbox, cluster, before, cluster["Endpoint"], cluster["Port"])


def _rotated(sandbox, made, before, address, port):
    with pytest.raises(pymysql.err.OperationalError, match="Access denied"):
        _ask(sandbox, address, port, before, "SELECT 1")
    assert _ask(sandbox, address, port, _login(sandbox, made), "SELECT 1") == 1


def test_an_rds_instance_leads_to_the_database_and_keeps_its_password_in_a_secret(sandbox, rds, instance):
    (described,) = rds.describe_db_instances(DBInstanceIdentifier="plain")["DBInstances"]
    assert described["Endpoint"]["Address"] == tls.ADDRESS
    assert described["Endpoint"]["Port"] == sandbox.database.port
    assert described["MasterUserSecret"] == instance["MasterUserSecret"]
    assert described.get("DBName", "") == ""
    asked = _ask(sandbox, tls.ADDRESS, sandbox.database.port, _login(sandbox, described), "SELECT CURRENT_USER()")
    assert asked == "plain_admin@%"


def test_after_a_rotation_only_the_new_password_of_an_instance_is_good(sandbox, rds, instance):
    before = _login(sandbox, instance)
    rds.modify_db_instance(DBInstanceIdentifier="plain", RotateMasterUserPassword=True, ApplyImmediately=True)
    _rotated(sandbox, instance, before, tls.ADDRESS, sandbox.database.port)


def test_a_managed_password_of_an_instance_cannot_be_chosen(rds, instance):
    with pytest.raises(ClientError, match="You can't specify MasterUserPassword"):
        rds.modify_db_instance(DBInstanceIdentifier=instance["DBInstanceIdentifier"], MasterUserPassword="chosen-by-me")


def test_an_instance_is_not_served_by_the_data_api(sandbox, instance):
    arn = instance["DBInstanceArn"]
    refused = {"Code": "BadRequestException", "Message": f"Invalid cluster id: {arn}"}
    assert _refusal(sandbox, arn, instance["MasterUserSecret"]["SecretArn"]) == refused


def test_an_instance_s_parameter_group_sets_its_server_and_leaves_those_of_clusters(sandbox, rds, instance):
    def variable(name):
        return _ask(sandbox, tls.ADDRESS, sandbox.database.port, _login(sandbox, instance), f"SELECT @@GLOBAL.{name}")

    before = variable("net_retry_count")
    one = {"ParameterName": "net_retry_count", "ParameterValue": "17", "ApplyMethod": "immediate"}
    rds.modify_db_parameter_group(DBParameterGroupName="plain", Parameters=[one])
    assert variable("net_retry_count") == 17
    assert variable("log_bin_trust_function_creators") == 1  # of the stack's cluster
    rds.reset_db_parameter_group(DBParameterGroupName="plain", Parameters=[one])
    assert variable("net_retry_count") == before


def test_a_program_looks_an_instance_up(sandbox, instance):
    asked = {"dbInstanceIdentifier": instance["DBInstanceIdentifier"]}
    found = invokes.answer("aws:rds/getInstance:getInstance", asked, Aws(sandbox.outputs["endpointUrl"]))
    assert found["dbInstanceArn"] == instance["DBInstanceArn"]
    assert (found["engine"], found["engineVersion"]) == ("mysql", "8.0.42")
    assert found["endpoint"] == f"{found['address']}:{found['port']}" == f"{tls.ADDRESS}:{sandbox.database.port}"
