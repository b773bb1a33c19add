"""Rules about running a stack: logs that end, a stream that loses nothing, alarms, and tags."""

from collections.abc import Iterator, Sequence

from policy.rules import Resource, at, of, rule, stack_rule

FUNCTION, LOG_GROUP = "aws:lambda/function:Function", "aws:cloudwatch/logGroup:LogGroup"
MAPPING, ALARM = "aws:lambda/eventSourceMapping:EventSourceMapping", "aws:cloudwatch/metricAlarm:MetricAlarm"
STACK_TAG = "streamback:stack"
LAMBDA_ALARMS = ("IteratorAge", "Errors")  # of a function that a stream calls
OWN_ALARMS = ("BridgeQuarantined",)  # the function's own metrics, by the dimension `service`
# The types of AWS that take tags, as far as the program uses them; a test compares this with pulumi-aws.
TAGGED = (
    "aws:apigateway/restApi:RestApi",
    "aws:apigateway/stage:Stage",
    "aws:dynamodb/table:Table",
    "aws:ec2/securityGroup:SecurityGroup",
    "aws:ec2/subnet:Subnet",
    "aws:ec2/vpc:Vpc",
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider",
    "aws:iam/policy:Policy",
    "aws:iam/role:Role",
    "aws:rds/cluster:Cluster",
    "aws:rds/clusterInstance:ClusterInstance",
    "aws:rds/clusterParameterGroup:ClusterParameterGroup",
    "aws:rds/subnetGroup:SubnetGroup",
    "aws:s3/bucket:Bucket",
    "aws:secretsmanager/secret:Secret",
    "aws:sfn/stateMachine:StateMachine",
    ALARM,
    FUNCTION,
    LOG_GROUP,
    MAPPING,
)


@rule(LOG_GROUP)
def logs_end(group: Resource) -> Iterator[str]:
    """A log group deletes what it holds after some days."""
    if not group.properties.get("retentionInDays"):
        yield "set retention_in_days"


@stack_rule
def functions_have_their_log_group(resources: Sequence[Resource]) -> Iterator[tuple[Resource, str]]:
    """A function logs to a log group of the stack that no other function uses; Lambda's own has no end."""
    groups = {each.urn for each in of(LOG_GROUP, resources)}
    used: set[str] = set()
    for function in of(FUNCTION, resources):
        own = function.dependencies & groups if at(function.properties, "loggingConfig") else frozenset[str]()
        if not own or own & used:
            yield function, "set logging_config with the name of a LogGroup of its own"
        used |= own


@rule(MAPPING)
def mappings_start_at_the_beginning(mapping: Resource) -> Iterator[str]:
    """A stream is read from its oldest record: LATEST misses those written while the mapping is being created."""
    if mapping.properties.get("startingPosition") != "TRIM_HORIZON":
        yield f"set starting_position='TRIM_HORIZON', got {mapping.properties.get('startingPosition')}"


@rule(MAPPING)
def mappings_keep_what_failed(mapping: Resource) -> Iterator[str]:
    """A stream mapping has a destination for the batches that it dead-letters."""
    if not at(mapping.properties, "destinationConfig", "onFailure", "destinationArn"):
        yield "set destination_config={'on_failure': {'destination_arn': …}}"


@stack_rule
def bridge_writers_have_alarms(resources: Sequence[Resource]) -> Iterator[tuple[Resource, str]]:
    """A function that a stream calls has alarms on its lag, its errors and what it quarantines."""
    alarms, functions = of(ALARM, resources), {each.urn: each for each in of(FUNCTION, resources)}
    for mapping in of(MAPPING, resources):
        for writer in (functions[urn] for urn in mapping.dependencies if urn in functions):
            missing = {*LAMBDA_ALARMS, *OWN_ALARMS} - {
                alarm.properties.get("metricName") for alarm in alarms if _watches(alarm, writer)
            }
            if missing:
                yield writer, f"add alarms on {', '.join(sorted(missing))}"


@rule(*TAGGED)
def resources_have_the_stacks_tag(resource: Resource) -> Iterator[str]:
    """What can have tags has the stack's name in one, so that costs and leftovers can be traced."""
    if not at(resource.properties, "tags", STACK_TAG):
        yield f"add the tag {STACK_TAG}"


def _watches(alarm: Resource, function: Resource) -> bool:
    if alarm.properties.get("metricName") in OWN_ALARMS:
        service = at(function.properties, "environment", "variables", "POWERTOOLS_SERVICE_NAME")
        return at(alarm.properties, "dimensions", "service") == service
    return function.urn in alarm.dependencies
