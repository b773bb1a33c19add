"""The emulator when something dies: its database, its functions, itself. On a server and a database of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import boto3
import psutil
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from emulator_parts import Parts, until

SERVE = """
import pathlib, sys
from sandbox.emulator.behaviour import data_api_traits
from sandbox.emulator.server import Database, serve
database = Database(socket=pathlib.Path(sys.argv[1]), address="127.0.0.1", port=3306)
serve(database, int(sys.argv[2]), data_api_traits.STRICT)
"""
PROJECT = Path(__file__).parents[2]
ONCE = Config(retries={"total_max_attempts": 1})
PID = "import os\ndef handler(event, context):\n    return os.getpid()"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Emulator:
    """A server process, and clients of its root."""

    def __init__(self, folder, database_socket):
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        (folder / "tmp").mkdir()
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(database_socket), str(port)],
            cwd=PROJECT,
            env={**os.environ, "TMPDIR": str(folder / "tmp"), "S3_DATA_DIR": str(folder / "s3")},
            stdout=(folder / "log").open("wb"),
            stderr=subprocess.STDOUT,
        )
        until(self.answers)

    def answers(self):
        try:
            return urllib.request.urlopen(self.url + "/_ministack/health", timeout=5).status == 200
        except (urllib.error.URLError, ConnectionError):
            return False

    def client(self, service):
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=ONCE,
        )

    def worker(self):
        """The process of a function that was called once."""
        function = Parts(self).function(PID)
        answer = self.client("lambda").invoke(FunctionName=function)
        return psutil.Process(int(answer["Payload"].read()))

    def stop(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def emulator(tmp_path_factory, sandbox):
    folder = tmp_path_factory.mktemp("emulator")
    database = type(sandbox.database)(folder / "db", sandbox.location.cache)
    database.start()
    made = Emulator(folder, database.socket)
    made.database = database
    yield made
    made.stop()
    database.kill()


@pytest.fixture(scope="module")
def sql(emulator):
    secret = emulator.client("secretsmanager").create_secret(
        Name="outage", SecretString='{"username": "admin", "password": "not-so-secret"}'
    )
    strict = {"ParameterName": "sql_mode", "ParameterValue": "STRICT_TRANS_TABLES", "ApplyMethod": "immediate"}
    group = {"DBClusterParameterGroupName": "strict"}
    emulator.client("rds").create_db_cluster_parameter_group(
        **group, DBParameterGroupFamily="aurora-mysql8.0", Description="refuses values that do not fit"
    )
    emulator.client("rds").modify_db_cluster_parameter_group(**group, Parameters=[strict])
    cluster = emulator.client("rds").create_db_cluster(
        **group,
        DBClusterIdentifier="outage",
        Engine="aurora-mysql",
        MasterUsername="admin",
        MasterUserPassword="not-so-secret",
        DatabaseName="outage",
        EnableHttpEndpoint=True,
    )
    emulator.client("rds").create_db_instance(
        DBInstanceIdentifier="outage-1",
        DBClusterIdentifier="outage",
        Engine="aurora-mysql",
        DBInstanceClass="db.serverless",
    )
    client = emulator.client("rds-data")
    target = {"resourceArn": cluster["DBCluster"]["DBClusterArn"], "secretArn": secret["ARN"]}

    def run(text, **more):
        return client.execute_statement(sql=text, **target, **more)

    run("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(3))", database="outage")
    return SimpleNamespace(run=run, client=client, target=target)


def under_way(emulator, statement):
    """How many connections are running it."""
    with emulator.database.connect() as connection, connection.cursor() as cursor:
        return cursor.execute("SELECT 1 FROM information_schema.processlist WHERE info = %s", (statement,))


def test_a_database_that_is_down_is_said_to_be_unavailable_and_one_that_is_back_serves_at_once(emulator, sql):
    assert sql.run("INSERT INTO outage.t VALUES (1, 'a')")["numberOfRecordsUpdated"] == 1
    emulator.database.kill()
    for _ in range(2):
        with pytest.raises(ClientError) as raised:
            sql.run("SELECT v FROM outage.t")
        assert raised.value.response["Error"]["Code"] == "DatabaseUnavailableException"
        assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 504
    emulator.database.start()
    assert sql.run("SELECT v FROM outage.t")["records"] == [[{"stringValue": "a"}]]


def test_a_statement_under_way_when_the_database_dies_is_said_to_be_lost_and_leaves_nothing_of_its_batch(emulator, sql):
    number = sql.client.begin_transaction(**sql.target)["transactionId"]
    sql.run("INSERT INTO outage.t VALUES (22, 'x')", transactionId=number)
    failures = []

    def insert():
        sets = [[{"name": "id", "value": {"longValue": key}}] for key in (21, 22)]
        try:
            sql.client.batch_execute_statement(
                sql="INSERT INTO outage.t (id) VALUES (:id)", parameterSets=sets, **sql.target
            )
        except ClientError as error:
            failures.append(error.response["Error"]["Code"])

    waiter = threading.Thread(target=insert)
    waiter.start()
    until(lambda: under_way(emulator, "INSERT INTO outage.t (id) VALUES (22)") == 1)
    emulator.database.kill()
    waiter.join()
    assert failures == ["DatabaseUnavailableException"]
    with pytest.raises(ClientError):
        sql.client.commit_transaction(
            resourceArn=sql.target["resourceArn"], secretArn=sql.target["secretArn"], transactionId=number
        )
    emulator.database.start()
    assert sql.run("SELECT id FROM outage.t WHERE id > 20")["records"] == []


@pytest.mark.parametrize(
    ("statement", "code", "state"),
    [
        ("INSERT INTO outage.t VALUES (7, 'abcd')", 1406, "22001"),
        ("INSERT INTO outage.t VALUES (8, 'a'), (8, 'b')", 1062, "23000"),
        ("SELECT nothing FROM outage.t", 1054, "42S22"),
        ("SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'streamback: fenced'", 1644, "45000"),
    ],
)
def test_an_error_has_mysqls_number_and_state(sql, statement, code, state):
    with pytest.raises(ClientError) as raised:
        sql.run(statement)
    assert raised.value.response["Error"]["Message"].endswith(f"; Error code: {code}; SQLState: {state}")


def test_a_hundred_lock_waits_leave_room_for_functions(emulator, sql):
    sql.run("INSERT INTO outage.t VALUES (50, 'a')")
    number = sql.client.begin_transaction(**sql.target)["transactionId"]
    sql.run("UPDATE outage.t SET v = 'b' WHERE id = 50", transactionId=number)

    def wait():
        emulator.client("rds-data").execute_statement(sql="UPDATE outage.t SET v = 'c' WHERE id = 50", **sql.target)

    waiters = [threading.Thread(target=wait) for _ in range(90)]
    for waiter in waiters:
        waiter.start()
    until(lambda: under_way(emulator, "UPDATE outage.t SET v = 'c' WHERE id = 50") == len(waiters))
    assert emulator.worker().is_running()
    sql.client.commit_transaction(
        resourceArn=sql.target["resourceArn"], secretArn=sql.target["secretArn"], transactionId=number
    )
    for waiter in waiters:
        waiter.join()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_function_outlives_the_emulator_however_it_ends(tmp_path, number):
    emulator = Emulator(tmp_path, tmp_path / "no-database")
    try:
        worker = emulator.worker()
        emulator.process.send_signal(number)
        status = emulator.process.wait(20)
        assert status == (0 if number == signal.SIGTERM else -number)
        until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)
    finally:
        emulator.stop()
