"""What the sandbox's Data API refuses and leaves out, trait by trait."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from sandbox.emulator.behaviour import data_api_traits, sql_text
from sandbox.emulator.behaviour.connections import Connections
from sandbox.emulator.behaviour.data_api import DataApi
from sandbox.emulator.behaviour.data_api_traits import LENIENT, STRICT, Trait
from sandbox.emulator.behaviour.parameter_group import ServerVariables
from sandbox.emulator.behaviour.prepared_databases import ROOT, PreparedDatabases
from sandbox.emulator.behaviour.sql import RefusedError
from sandbox.errors import SandboxError

PROCEDURE = "CREATE PROCEDURE traits.p() BEGIN DECLARE x INT; SET x = 1; END"
TRIGGER = "CREATE TRIGGER traits.tr BEFORE INSERT ON traits.t FOR EACH ROW BEGIN SET NEW.flag = 1; END"
INSERT = "INSERT INTO traits.t (flag) VALUES (1)"


@pytest.fixture
def api(sandbox, monkeypatch, tmp_path):
    """Makes a Data API with these traits on the shared sandbox's database, as its root, and calls it."""
    with sandbox.database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE traits")
        cursor.execute("CREATE TABLE traits.t (id INT AUTO_INCREMENT PRIMARY KEY, flag TINYINT(1), v VARCHAR(20))")
    monkeypatch.setattr(DataApi, "_login", lambda self, request: ROOT)

    def of(*traits: Trait):
        connections = Connections(sandbox.database.socket)
        made = DataApi(connections, PreparedDatabases(connections, ServerVariables(tmp_path)), frozenset(traits))

        def call(path: str, sql: str = "", **more):
            return made.calls[path]({"resourceArn": "arn", "sql": sql, **more})

        return call

    yield of
    with sandbox.database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("DROP DATABASE traits")


@pytest.mark.parametrize("text", [PROCEDURE, TRIGGER])
def test_a_body_of_statements_is_refused_with_one_trait_and_run_without(api, text):
    with pytest.raises(RefusedError, match="Multistatements aren't supported") as raised:
        api(Trait.NO_COMPOUND)("/Execute", text)
    assert raised.value.name == "ValidationException"
    assert api(*STRICT - {Trait.NO_COMPOUND})("/Execute", text)["numberOfRecordsUpdated"] == 0


def test_several_statements_are_refused_in_the_words_of_aws(api):
    call = api(Trait.ONE_STATEMENT)
    for path in ("/Execute", "/BatchExecute"):
        with pytest.raises(RefusedError, match="Multistatements aren't supported"):
            call(path, f"{INSERT}; {INSERT}")
    call("/Execute", f"{INSERT}; ")


def test_a_definition_in_a_transaction_is_refused_and_the_transaction_goes_on(api):
    call = api(Trait.NO_DDL_IN_TRANSACTION)
    number = call("/BeginTransaction")["transactionId"]
    with pytest.raises(RefusedError, match="in a transaction"):
        call("/Execute", "DROP TRIGGER IF EXISTS traits.tr", transactionId=number)
    call("/Execute", INSERT, transactionId=number)
    call("/CommitTransaction", transactionId=number)
    call("/Execute", "DROP TRIGGER IF EXISTS traits.tr")
    assert call("/Execute", "SELECT COUNT(*) FROM traits.t")["records"] == [[{"longValue": 1}]]


def test_a_lenient_one_takes_a_definition_in_a_transaction(api):
    call = api()
    number = call("/BeginTransaction")["transactionId"]
    assert call("/Execute", "DROP TRIGGER IF EXISTS traits.tr", transactionId=number)["numberOfRecordsUpdated"] == 0
    call("/RollbackTransaction", transactionId=number)


def test_generated_fields_are_in_no_answer_of_an_api_without_them(api):
    assert api()("/Execute", INSERT)["generatedFields"] == [{"longValue": 1}]
    without = api(Trait.NO_GENERATED_FIELDS)
    for answer in (without("/Execute", INSERT), without("/Execute", "SELECT 1")):
        assert "generatedFields" not in answer
    assert without("/BatchExecute", INSERT)["updateResults"] == [{}]


@pytest.mark.parametrize(("traits", "name"), [((), "booleanValue"), ((Trait.INTEGER_BOOLEANS,), "longValue")])
def test_a_tinyint_of_one_digit_is_a_boolean_or_an_integer(api, traits, name):
    call = api(*traits)
    call("/Execute", "INSERT INTO traits.t (flag) VALUES (1), (0), (7)")
    found = [row[0] for row in call("/Execute", "SELECT flag FROM traits.t ORDER BY id")["records"]]
    assert found == [{name: bool(value) if name == "booleanValue" else value} for value in (1, 0, 7)]


def test_null_has_no_type_but_that_it_is_null(api):
    for traits in (LENIENT, STRICT):
        answer = api(*traits)("/Execute", "SELECT NULL, flag, v FROM traits.t RIGHT JOIN (SELECT 1) one ON TRUE")
        assert answer["records"] == [[{"isNull": True}] * 3]


@pytest.mark.parametrize(
    ("text", "several", "compound", "ddl"),
    [
        ("SELECT ';', \"; x\", `a;b` FROM t -- ; SELECT 1", False, False, False),
        ("SELECT 1; SELECT 2", True, False, False),
        ("SELECT 1 /* ; x */ ;\n ", False, False, False),
        ("create table t (event INT, c VARCHAR(9) DEFAULT ';begin')", False, False, True),
        ("CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW SET NEW.a = ';'", False, False, True),
        ("CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW BEGIN END", False, True, True),
        ("CREATE DEFINER=`a`@`b` PROCEDURE p() SELECT 1; SELECT 2", False, True, True),
        (PROCEDURE, False, True, True),
        ("/* ours */ ALTER TABLE t ADD c INT", False, False, True),
        ("CALL create_all()", False, False, False),
    ],
)
def test_what_a_text_is_shows_outside_of_quotes_and_comments(text, several, compound, ddl):
    found = (sql_text.has_several(text), sql_text.is_compound(text), sql_text.is_ddl(text))
    assert found == (several, compound, ddl)


def test_traits_are_read_from_names_alone_or_together():
    parse = data_api_traits.parse
    assert parse("strict") == STRICT
    assert parse("lenient") == LENIENT == parse("")
    assert parse("strict,integer-booleans") == frozenset(Trait)
    for traits in (STRICT, LENIENT, frozenset(Trait), frozenset({Trait.NO_COMPOUND})):
        assert parse(data_api_traits.written(traits)) == traits
    with pytest.raises(SandboxError, match=r"'lax' is no trait .* strict, lenient, one-statement"):
        parse("strict,lax")


def test_the_environment_names_the_traits_of_a_new_sandbox(monkeypatch):
    monkeypatch.delenv(data_api_traits.VARIABLE, raising=False)
    assert data_api_traits.default() == STRICT
    monkeypatch.setenv(data_api_traits.VARIABLE, "no-compound")
    assert data_api_traits.default() == {Trait.NO_COMPOUND}


def test_a_client_gets_the_refusal_as_aws_names_it(sandbox):
    if Trait.ONE_STATEMENT not in data_api_traits.parse(sandbox.data_api):
        pytest.skip("this sandbox's Data API takes several statements")
    place = {"resourceArn": sandbox.outputs["clusterArn"], "secretArn": sandbox.outputs["masterSecretArn"]}
    with pytest.raises(ClientError) as raised:
        sandbox.client("rds-data").execute_statement(**place, sql="SELECT 1; SELECT 2")
    assert raised.value.response["Error"]["Code"] == "ValidationException"
