"""The bridge as the program describes it: how the stream is read, where failures go, when an alarm goes off."""

from __future__ import annotations

from functions.aws import session_function


def mapping(stack):
    return stack.one("eventSourceMapping:EventSourceMapping")["inputs"]


def alarm(stack, name):
    return stack.one("metricAlarm:MetricAlarm", name)["inputs"]


def test_the_mapping_reads_the_modern_tables_stream_from_its_beginning(stack):
    found = mapping(stack)
    assert found["eventSourceArn"] == stack.outputs["entities"]["chefs"]["streamArn"]
    assert found["startingPosition"] == "TRIM_HORIZON"
    table = stack.one("table:Table", "modern-chefs")["inputs"]
    assert (table["streamEnabled"], table["streamViewType"]) == (True, "NEW_AND_OLD_IMAGES")


def test_the_mapping_takes_large_batches_at_once_and_keys_in_parallel(stack):
    found = mapping(stack)
    wanted = {"batchSize": 1000, "maximumBatchingWindowInSeconds": 0, "parallelizationFactor": 2}
    assert {key: found[key] for key in wanted} == wanted


def test_a_failing_batch_is_bisected_and_tried_until_its_age_limit(stack):
    found = mapping(stack)
    assert found["bisectBatchOnFunctionError"] is True
    assert found["maximumRetryAttempts"] == -1
    assert found["maximumRecordAgeInSeconds"] == 43_200


def test_what_is_given_up_is_kept_whole_in_a_private_bucket(stack):
    bucket = f"arn:of:{stack.outputs['failureBucket']}"
    assert mapping(stack)["destinationConfig"] == {"onFailure": {"destinationArn": bucket}}
    access = stack.one("bucketPublicAccessBlock:BucketPublicAccessBlock")["inputs"]
    assert [value for key, value in access.items() if key != "bucket"] == [True] * 4


def test_the_mapping_drops_nothing(stack):
    assert "filterCriteria" not in mapping(stack)


def test_the_mappings_numbers_are_settings(describe):
    found = mapping(
        describe(
            bridgeBatchSize="10", bridgeWindowSeconds="0", bridgeParallelization="2", bridgeMaxRecordAgeSeconds="600"
        )
    )
    assert (found["batchSize"], found["maximumBatchingWindowInSeconds"]) == (10, 0)
    assert (found["parallelizationFactor"], found["maximumRecordAgeInSeconds"]) == (2, 600)


def test_an_alarm_reports_a_late_bridge_long_before_a_record_is_dead_lettered(stack, describe):
    late = alarm(stack, "late")
    assert (late["metricName"], late["statistic"]) == ("IteratorAge", "Maximum")
    assert late["threshold"] == 15 * 60 * 1000
    short = describe(
        bridgeBatchSize="10", bridgeWindowSeconds="0", bridgeParallelization="2", bridgeMaxRecordAgeSeconds="600"
    )
    assert alarm(short, "late")["threshold"] == 150 * 1000


def test_an_alarm_reports_that_the_bridge_keeps_failing(stack):
    failing = alarm(stack, "chefs-failing")
    assert (failing["metricName"], failing["statistic"], failing["threshold"]) == ("Errors", "Sum", 0)
    assert failing["evaluationPeriods"] * failing["period"] == 300


def test_an_alarm_reports_that_records_are_in_quarantine(stack):
    quarantined = alarm(stack, "chefs-quarantined")
    assert (quarantined["namespace"], quarantined["metricName"]) == ("streamback", "BridgeQuarantined")
    function = stack.one("function:Function", "chefs-writer")["inputs"]["environment"]["variables"]
    assert quarantined["dimensions"] == {"service": function["POWERTOOLS_SERVICE_NAME"]}
    assert (quarantined["statistic"], quarantined["threshold"], quarantined["evaluationPeriods"]) == ("Sum", 0, 1)


def test_alarms_watch_the_bridges_function_and_reach_the_topic(describe, stack):
    topic = "arn:aws:sns:us-east-1:111122223333:ops"
    for name in ("late", "chefs-failing"):
        inputs = alarm(describe(alarmTopicArn=topic), name)
        assert inputs["dimensions"] == {"FunctionName": stack.outputs["entities"]["chefs"]["bridgeFunction"]}
        assert inputs["alarmActions"] == inputs["okActions"] == [topic]


def test_pulumi_never_holds_the_bridges_password(stack):
    assert not stack.of("secretVersion:SecretVersion")


def test_the_quarantine_has_one_item_a_key(stack):
    inputs = stack.one("table:Table", "quarantine")["inputs"]
    assert (inputs["hashKey"], inputs["rangeKey"]) == ("entity", "item_key")


def test_the_caller_of_the_session_function_waits_until_it_has_ended(stack):
    function = stack.one("function:Function", "bridge-session")["inputs"]
    assert function["timeout"] == session_function.TIMEOUT < session_function.CONFIG.read_timeout
