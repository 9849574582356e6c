"""A catalogue of the AWS metrics that the stack's alarms and dashboards may watch, taken from AWS's documentation.

An alarm on a metric that doesn't exist, or that has other dimensions, stays silent for ever. So every metric that
Terraform names must be in this catalogue, with its dimensions and its statistic. Before you add a metric, look at AWS's
page.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from tests.unit.alarms.plan import Plan, Resource

COUNT = frozenset({"Sum", "SampleCount"})
AGE = frozenset({"Maximum", "Minimum", "Average"})


class AwsMetric(NamedTuple):
    """What AWS documents about a metric.

    :param dimensions: the sets of dimensions under which AWS emits the metric. A metric has a separate series for each
        set, so an alarm must name exactly one of them.
    :param statistics: the statistics that AWS calls useful for the metric; ``p`` stands for any percentile.
    """

    dimensions: frozenset[frozenset[str]]
    statistics: frozenset[str]


def _of(statistics: frozenset[str], *dimensions: str) -> AwsMetric:
    """Return a metric. Each of ``dimensions`` is a set of dimensions, separated by commas."""
    return AwsMetric(frozenset(frozenset(filter(None, names.split(","))) for names in dimensions), statistics)


PAGES: Mapping[str, str] = {
    "AWS/ApiGateway": "https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-metrics-and-dimensions.html",
    "AWS/CloudFront": "https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/programming-cloudwatch-metrics.html",
    "AWS/DAX": "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/dax-metrics-dimensions-dax.html",
    "AWS/DynamoDB": "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html",
    "AWS/ElastiCache": "https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/CacheMetrics.html",
    "AWS/Firehose": "https://docs.aws.amazon.com/firehose/latest/dev/monitoring-with-cloudwatch-metrics.html",
    "AWS/Kinesis": "https://docs.aws.amazon.com/streams/latest/dev/monitoring-with-cloudwatch.html",
    "AWS/Lambda": "https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html",
    "AWS/RDS": "https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Aurora.AuroraMonitoring.Metrics.html",
    "AWS/SNS": "https://docs.aws.amazon.com/sns/latest/dg/sns-monitoring-using-cloudwatch.html",
    "AWS/SQS": (
        "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html"
    ),
    "AWS/WAFV2": "https://docs.aws.amazon.com/waf/latest/developerguide/waf-metrics.html",
    "AWS/Scheduler": "https://docs.aws.amazon.com/scheduler/latest/UserGuide/monitoring-cloudwatch.html",
    "Readplane/Operator": "https://docs.aws.amazon.com/apigateway/latest/developerguide/dns-failover.html",
}
"""The page of AWS's documentation that describes the metrics of each namespace."""

_FUNCTION = ("FunctionName", "FunctionName,Resource")
_STAGE = ("ApiName", "ApiName,Stage")

# A node has a series by its id, and most metrics one by its cluster. AWS lists the dimensions only where it says which
# metrics it enriches with tags: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/
# A serverless cache has one dimension, with a small letter first. AWS doesn't document it, but `list-metrics` shows it:
# https://github.com/open-constructs/aws-cdk-library/pull/68 and https://github.com/grafana/grafana-aws-sdk/pull/151
_NODE = ("CacheClusterId,CacheNodeId",)
_CACHE = ("clusterId", *_NODE)
_DAX = ("ClusterId", "ClusterId,NodeId")

# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/dimensions.html
_CLUSTER = ("DBInstanceIdentifier", "DBClusterIdentifier", "DBClusterIdentifier,Role")

_KEY_FAULTS = ("KMSKeyAccessDenied", "KMSKeyDisabled", "KMSKeyInvalidState", "KMSKeyNotFound")
"""What Firehose emits while it can't use the key of a delivery stream."""

CATALOGUE: Mapping[str, Mapping[str, AwsMetric]] = {
    # API Gateway emits these metrics whether or not method-level metrics are on. Those have the dimensions Resource and
    # Method too.
    "AWS/ApiGateway": {
        "Count": _of(COUNT, *_STAGE),
        "CacheHitCount": _of(COUNT, *_STAGE),
        "CacheMissCount": _of(COUNT, *_STAGE),
        "4XXError": _of(COUNT | {"Average"}, *_STAGE),
        "5XXError": _of(COUNT | {"Average"}, *_STAGE),
        "Latency": _of(AGE | {"p"}, *_STAGE),
    },
    "AWS/CloudFront": {"5xxErrorRate": _of(frozenset({"Average"}), "DistributionId,Region")},
    "AWS/DAX": {
        "CPUUtilization": _of(AGE, *_DAX),
        "ClientConnections": _of(AGE, *_DAX),
        "EvictedSize": _of(AGE, *_DAX),
        "FaultRequestCount": _of(COUNT, *_DAX),
        "ItemCacheHits": _of(COUNT, *_DAX),
        "ItemCacheMisses": _of(COUNT, *_DAX),
    },
    "AWS/ElastiCache": {
        "AuthenticationFailures": _of(COUNT, *_CACHE),
        "BytesUsedForCache": _of(AGE, *_CACHE),
        "CacheHits": _of(COUNT, *_CACHE),
        "CacheMisses": _of(COUNT, *_CACHE),
        "CurrConnections": _of(AGE, *_CACHE),
        "DatabaseMemoryUsagePercentage": _of(AGE, *_NODE),
        "ElastiCacheProcessingUnits": _of(COUNT, "clusterId"),
        "EngineCPUUtilization": _of(AGE, *_NODE),
        "Evictions": _of(COUNT, *_CACHE),
        "IamAuthenticationThrottling": _of(COUNT, *_CACHE),
        "ReplicationLag": _of(AGE, *_NODE),
        "ThrottledCmds": _of(COUNT, "clusterId"),
    },
    "AWS/DynamoDB": {
        "ReadThrottleEvents": _of(COUNT, "TableName", "TableName,GlobalSecondaryIndexName"),
        "WriteThrottleEvents": _of(COUNT, "TableName", "TableName,GlobalSecondaryIndexName"),
        "ConsumedReadCapacityUnits": _of(frozenset({"Sum"}), "TableName", "TableName,GlobalSecondaryIndexName"),
        "ConsumedWriteCapacityUnits": _of(frozenset({"Sum"}), "TableName", "TableName,GlobalSecondaryIndexName"),
        "SystemErrors": _of(COUNT, "TableName,Operation"),
    },
    "AWS/Firehose": {
        "DeliveryToS3.DataFreshness": _of(AGE, "DeliveryStreamName"),
        "IncomingBytes": _of(frozenset({"Sum"}), "DeliveryStreamName"),
        "DeliveryToS3.Records": _of(COUNT, "DeliveryStreamName"),
        "ThrottledRecords": _of(COUNT, "DeliveryStreamName"),
        **dict.fromkeys(_KEY_FAULTS, _of(COUNT, "DeliveryStreamName")),
        "KinesisMillisBehindLatest": _of(AGE, "DeliveryStreamName"),
        "DataReadFromKinesisStream.Records": _of(COUNT, "DeliveryStreamName"),
    },
    "AWS/Kinesis": {
        "IncomingRecords": _of(COUNT, "StreamName"),
        "WriteProvisionedThroughputExceeded": _of(COUNT, "StreamName"),
    },
    "AWS/Lambda": {
        "ClaimedAccountConcurrency": _of(frozenset({"Maximum"}), ""),  # of the whole account
        "Duration": _of(AGE | {"p", "Sum"}, *_FUNCTION),  # AWS bills the sum
        "Errors": _of(COUNT, *_FUNCTION),
        "Throttles": _of(COUNT, *_FUNCTION),
        "IteratorAge": _of(AGE, *_FUNCTION),
        "AsyncEventsDropped": _of(COUNT, *_FUNCTION),
        "DestinationDeliveryFailures": _of(COUNT, *_FUNCTION),
        "PolledEventCount": _of(COUNT, "EventSourceMappingUUID"),
        "DroppedEventCount": _of(COUNT, "EventSourceMappingUUID"),
        "OnFailureDestinationDeliveredEventCount": _of(COUNT, "EventSourceMappingUUID"),
    },
    # AWS names the metrics of IAM authentication in its chapter on troubleshooting, which doesn't say under which
    # dimensions RDS emits them; all metrics of Aurora's instances have a series for the cluster.
    "AWS/RDS": {
        "ACUUtilization": _of(AGE, *_CLUSTER),
        "AuroraReplicaLag": _of(AGE, *_CLUSTER),
        "DatabaseConnections": _of(AGE | {"Sum"}, *_CLUSTER),
        "Deadlocks": _of(AGE, *_CLUSTER),
        "IamDbAuthConnectionFailureThrottling": _of(frozenset({"Sum"}), *_CLUSTER),
        "ServerlessDatabaseCapacity": _of(AGE, *_CLUSTER),
    },
    "AWS/SNS": {"NumberOfNotificationsFailed": _of(COUNT, "TopicName")},
    "AWS/SQS": {
        "ApproximateAgeOfOldestMessage": _of(AGE, "QueueName"),
        "ApproximateNumberOfMessagesVisible": _of(AGE, "QueueName"),
    },
    # For a web ACL of CloudFront. Those of a Region have the dimension Region too.
    "AWS/WAFV2": {
        "BlockedRequests": _of(frozenset({"Sum"}), "WebACL,Rule"),
        "CountedRequests": _of(frozenset({"Sum"}), "WebACL,Rule"),
    },
    "AWS/Scheduler": {"InvocationDroppedCount": _of(COUNT, "ScheduleGroup")},
    # An operator sends this one, with the command that the stack prints.
    "Readplane/Operator": {"LeaveRegion": _of(frozenset({"Maximum"}), "Stack,Region")},
}


def problems_of(
    plan: Plan, region: str, namespace: str, name: str, dimensions: Mapping[str, str], statistic: str
) -> list[str]:
    """Return what is wrong with an AWS metric that an alarm or a dashboard of a Region names.

    :param region: ``primary`` or ``replica``.
    """
    metric = CATALOGUE.get(namespace, {}).get(name)
    if metric is None:
        return [f"{namespace} {name} isn't in the catalogue"]
    problems = []
    if frozenset(dimensions) not in metric.dimensions:
        problems.append(f"{namespace} {name} has no series with the dimensions {sorted(dimensions)}")
    if ("p" if statistic.startswith("p") else statistic) not in metric.statistics:
        problems.append(f"{statistic} says nothing about {namespace} {name}")
    for dimension, value in dimensions.items():
        find = _RESOURCES.get(dimension)
        if find and not find(plan, region, value, name):
            problems.append(f"{namespace} {name}: Terraform makes no resource with {dimension} = {value} in {region}")
    return problems


Finder = Callable[[Plan, str, str, str], list[Resource]]
"""Finds the planned resources of a Region that a dimension's value names and that emit the metric."""


def _named(kind: str, attribute: str) -> Finder:
    return lambda plan, region, value, name: [
        resource for resource in plan.of_type(kind, region) if resource.values[attribute] == value
    ]


def _mappings(plan: Plan, region: str, value: str, name: str) -> list[Resource]:
    """Return the event source mapping with this id, if it emits the metric."""
    return [
        resource
        for resource in plan.of_type("aws_lambda_event_source_mapping", region)
        if resource.values.get("uuid") == value  # some are known only after the apply
        and resource.values["metrics_config"] == [{"metrics": ["EventCount"]}]
        and (name != "OnFailureDestinationDeliveredEventCount" or resource.values["destination_config"])
    ]


def _delivery_streams(plan: Plan, region: str, value: str, name: str) -> list[Resource]:
    """Return the Firehose stream, if its source is of the kind for which Firehose emits the metric."""
    from_kinesis = {
        "KinesisMillisBehindLatest": True,
        "DataReadFromKinesisStream.Records": True,
        "ThrottledRecords": False,
        **dict.fromkeys(_KEY_FAULTS, False),
    }
    return [
        resource
        for resource in plan.of_type("aws_kinesis_firehose_delivery_stream", region)
        if resource.values["name"] == value
        and from_kinesis.get(name) in (None, bool(resource.values["kinesis_source_configuration"]))
    ]


def _web_acl_rules(plan: Plan, region: str, value: str, name: str) -> list[Resource]:
    """Return the web ACL with a rule of this metric name whose action is the one that the metric counts."""
    action = {"BlockedRequests": "block", "CountedRequests": "count"}[name]
    return [
        web_acl
        for web_acl in plan.of_type("aws_wafv2_web_acl", region)
        for rule in web_acl.values["rule"]
        if rule["visibility_config"][0]["metric_name"] == value and rule["action"] and rule["action"][0][action]
    ]


def _web_acls(plan: Plan, region: str, value: str, name: str) -> list[Resource]:
    return [
        web_acl
        for web_acl in plan.of_type("aws_wafv2_web_acl", region)
        if web_acl.values["visibility_config"][0]["metric_name"] == value
    ]


def _tables(plan: Plan, region: str, value: str, name: str) -> list[Resource]:
    """Return the table. A replica has the name of its table in the primary Region."""
    tables = [table for table in plan.of_type("aws_dynamodb_table", "primary") if table.values["name"] == value]
    if region == "primary":
        return tables
    return tables if any(resource.type == "aws_dynamodb_table_replica" for resource in plan.resources) else []


def _indexes(plan: Plan, region: str, value: str, name: str) -> list[Resource]:
    return [
        table
        for table in plan.of_type("aws_dynamodb_table", "primary")
        if value in [index["name"] for index in table.values.get("global_secondary_index") or []]
    ]


def _nodes(plan: Plan, region: str, value: str, name: str) -> list[Resource]:
    """Return the replication group with a node of this id. ElastiCache numbers the nodes from 001."""
    group, number = value.rsplit("-", 1)
    return [
        resource
        for resource in plan.of_type("aws_elasticache_replication_group", region)
        if resource.values["replication_group_id"] == group
        and 1 <= int(number) <= resource.values["num_cache_clusters"]
    ]


def _operations(plan: Plan, region: str, value: str, name: str) -> list[Resource]:
    """Return every table of the Region if DynamoDB has the operation."""
    operations = {"BatchExecuteStatement", "BatchGetItem", "GetItem", "PutItem", "Query", "UpdateItem"}
    return list(plan.of_type("aws_dynamodb_table", "primary")) if value in operations else []


_RESOURCES: Mapping[str, Finder] = {
    "ApiName": _named("aws_api_gateway_rest_api", "name"),
    "Stage": _named("aws_api_gateway_stage", "stage_name"),
    "CacheClusterId": _nodes,
    "ClusterId": _named("aws_dax_cluster", "cluster_name"),
    "clusterId": _named("aws_elasticache_serverless_cache", "name"),
    "DBClusterIdentifier": _named("aws_rds_cluster", "cluster_identifier"),
    "DeliveryStreamName": _delivery_streams,
    "DistributionId": _named("aws_cloudfront_distribution", "id"),
    "EventSourceMappingUUID": _mappings,
    "FunctionName": _named("aws_lambda_function", "function_name"),
    "GlobalSecondaryIndexName": _indexes,
    "Operation": _operations,
    "QueueName": _named("aws_sqs_queue", "name"),
    "ScheduleGroup": _named("aws_scheduler_schedule_group", "name"),
    "StreamName": _named("aws_kinesis_stream", "name"),
    "TableName": _tables,
    "TopicName": _named("aws_sns_topic", "name"),
    "Rule": _web_acl_rules,
    "WebACL": _web_acls,
}
"""Dimension -> how to find the planned resource that it names."""
