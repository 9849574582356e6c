"""What environments/local.tfvars and the tests work around.

When one of these fails, an upgrade of the emulator has changed the fact: drop the workaround that it is named with.
"""

import inspect
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from ministack.core import iam_actions
from ministack.services import dynamodb, lambda_svc

from tests.local.pipeline import log_keys
from tests.local.support import Local, eventually


@pytest.fixture(autouse=True)
def only_the_embedded_emulator(stack: Local) -> None:
    if not stack.ministack:
        pytest.skip("these are facts of MiniStack")


@contextmanager
def rest_api(stack: Local) -> Iterator[tuple[Any, str, str]]:
    gateway: Any = stack.root().client("apigateway")
    api = gateway.create_rest_api(name="facts")["id"]
    try:
        yield gateway, api, gateway.get_resources(restApiId=api)["items"][0]["id"]
    finally:
        gateway.delete_rest_api(restApiId=api)


def test_api_gateway_has_no_s3_integration(stack: Local) -> None:
    """documents_integration = "lambda"."""
    with rest_api(stack) as (gateway, api, resource):
        gateway.put_method(restApiId=api, resourceId=resource, httpMethod="GET", authorizationType="NONE")
        gateway.put_integration(
            restApiId=api,
            resourceId=resource,
            httpMethod="GET",
            type="AWS",
            integrationHttpMethod="GET",
            uri=f"arn:aws:apigateway:{stack.outputs.region}:s3:path/{stack.outputs.documents_bucket}/any.json",
            credentials="arn:aws:iam::000000000000:role/any",
        )
        gateway.put_method_response(restApiId=api, resourceId=resource, httpMethod="GET", statusCode="200")
        gateway.put_integration_response(restApiId=api, resourceId=resource, httpMethod="GET", statusCode="200")
        gateway.create_deployment(restApiId=api, stageName="v1")
        url = f"{stack.stack.endpoint}/_aws/execute-api/{api}/v1/"
        stack.root().client("s3").put_object(Bucket=stack.outputs.documents_bucket, Key="any.json", Body=b"{}")
        assert requests.get(url, timeout=10).status_code >= 500


def test_a_stages_cache_cluster_has_no_status(stack: Local) -> None:
    """cache_size = null: the provider waits for a status, and fails on an empty one."""
    with rest_api(stack) as (gateway, api, resource):
        gateway.put_method(restApiId=api, resourceId=resource, httpMethod="GET", authorizationType="NONE")
        gateway.put_integration(restApiId=api, resourceId=resource, httpMethod="GET", type="MOCK")
        deployment = gateway.create_deployment(restApiId=api)["id"]
        made = gateway.create_stage(
            restApiId=api, deploymentId=deployment, stageName="v1", cacheClusterEnabled=True, cacheClusterSize="0.5"
        )
        assert not made.get("cacheClusterStatus")


def test_firehose_leaves_objects_unpacked(stack: Local) -> None:
    """tests/local/pipeline.py reads both; `apply` does anyway."""
    api = stack.api(stack.eve)
    assert api("PUT", "/items/notices/unpacked", {"title": "x"}).status_code == 202
    keys = eventually(lambda: [key for key in log_keys(stack) if stack.outputs.delivery_stream in key])
    body = stack.root().client("s3").get_object(Bucket=stack.outputs.write_log_bucket, Key=keys[-1])["Body"].read()
    assert json.loads(body.splitlines()[0])["change_id"]


def test_an_encoded_slash_counts_as_a_slash(stack: Local) -> None:
    """test_http.py lets the list through for %2F as an item id."""
    status, _, body = stack.api(stack.alice).raw("GET", "/items/profiles/%2F")
    assert status == 200 and b'"next"' in body


def test_a_missing_key_without_list_permission_is_no_403(stack: Local) -> None:
    """`read` takes S3's 403 for missing, as on AWS; here that path is never gone: unit tests show it."""
    role = next(
        role["Arn"]
        for role in stack.root().client("iam").list_roles()["Roles"]
        if role["RoleName"] == f"{stack.outputs.name}-{stack.outputs.region}-read"
    )
    given = stack.root().client("sts").assume_role(RoleArn=role, RoleSessionName="facts")["Credentials"]
    s3: Any = stack.root().client(
        "s3",
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
    )
    with pytest.raises(s3.exceptions.NoSuchKey):
        s3.get_object(Bucket=stack.outputs.documents_bucket, Key="public/countries/none.json")


def test_iam_is_asked_for_a_batch_of_statements_as_a_whole() -> None:
    """The checks in LAUNCH (ops/local/emulator.py): AWS has no such action, but one for each kind of statement."""
    statements = [{"Statement": """INSERT INTO "items" VALUE {'pk':?}""", "Parameters": [{"S": "1"}]}]
    body = json.dumps({"Statements": statements}).encode()
    headers = {"x-amz-target": "DynamoDB_20120810.BatchExecuteStatement"}
    action = iam_actions.extract_iam_action("dynamodb", "POST", "/", headers, body, {})
    assert action == "dynamodb:BatchExecuteStatement"
    assert iam_actions.dynamodb_transaction_checks(action, body, "eu-central-1", "000000000000") == []


def test_iam_is_not_told_which_item_a_request_is_about() -> None:
    """The context in LAUNCH (ops/local/emulator.py): without it `poll` could write every item, unseen."""
    body = json.dumps({"TableName": "items", "Item": {"pk": {"S": "source/x"}}}).encode()
    assert "dynamodb:LeadingKeys" not in iam_actions.dynamodb_service_context(body)


def test_what_a_statement_writes_reaches_no_stream() -> None:
    """The statements in LAUNCH: without it nothing that is applied in bulk would be published or replicated."""
    for statement in (dynamodb._partiql_insert, dynamodb._partiql_update):
        assert "_set_item" in inspect.getsource(statement)
        assert "_emit_stream_event" not in inspect.getsource(statement)


def test_a_batch_from_kinesis_counts_as_done_whatever_the_function_reports() -> None:
    """The execution in LAUNCH: without it what `apply` reports as failed would be lost."""
    assert "batchItemFailures" not in inspect.getsource(lambda_svc._poll_kinesis)
    assert "batchItemFailures" in inspect.getsource(lambda_svc._run_sqs_batch), "from a queue it is heard"


def test_a_batch_from_kinesis_is_retried_for_ever_and_set_aside_nowhere() -> None:
    """The mapping's bounds (modules/change_stream) are asserted in terraform/tests: here none of them counts."""
    source = inspect.getsource(lambda_svc._poll_kinesis)
    for bound in ("MaximumRecordAgeInSeconds", "MaximumRetryAttempts", "BisectBatchOnFunctionError", "OnFailure"):
        assert bound not in source


def test_a_key_s_value_is_known_in_one_region_only(stack: Local) -> None:
    """test_backends.py calls back offices in the primary Region."""
    key, path = "local-key-of-the-backoffice", "/backends/backoffice/languages.json?_size=1"
    statuses = [
        stack.api(replica=replica)("GET", path, headers={"X-Api-Key": key}).status_code for replica in (False, True)
    ]
    assert statuses == [200, 403]


def test_http_integrations_pass_every_header_and_wait_for_ever(stack: Local) -> None:
    """tests/localstack and terraform/tests show what AWS is told of headers and time-outs."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as office, rest_api(stack) as (gateway, api, resource):
        gateway.put_method(restApiId=api, resourceId=resource, httpMethod="GET", authorizationType="NONE")
        gateway.put_integration(
            restApiId=api,
            resourceId=resource,
            httpMethod="GET",
            type="HTTP_PROXY",
            integrationHttpMethod="GET",
            uri=f"http://127.0.0.1:{office.getsockname()[1]}/",
            timeoutInMillis=50,
            requestParameters={"integration.request.header.Authorization": "'-'"},
        )
        gateway.create_deployment(restApiId=api, stageName="v1")

        def answer() -> None:
            connection, _ = office.accept()
            with connection:
                heard.append(connection.recv(65536))
                time.sleep(0.5)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

        answering = threading.Thread(target=answer)
        answering.start()
        url = f"{stack.stack.endpoint}/_aws/execute-api/{api}/v1/"
        assert requests.get(url, headers={"Authorization": "Bearer x"}, timeout=10).status_code == 200
        answering.join()
    assert b"authorization: bearer x" in heard[0].lower()


def test_the_provider_s_way_to_ask_for_a_new_key_is_refused(stack: Local) -> None:
    """backend_api_keys."""
    gateway: Any = stack.root().client("apigateway")
    with pytest.raises(gateway.exceptions.BadRequestException, match="at least 20 characters"):
        gateway.create_api_key(name="facts", value="")


def test_a_request_that_is_sent_again_is_carried_out_once(stack: Local) -> None:
    """It wouldn't be, but for the way it is started here; see ops/local/emulator.py."""
    iam: Any = stack.root().client("iam")
    role = {"RoleName": "facts", "AssumeRolePolicyDocument": json.dumps({"Version": "2012-10-17", "Statement": []})}
    tries = iter(("one", "one", "another"))

    def name_the_try(request: Any, **_: object) -> None:
        request.headers["amz-sdk-invocation-id"] = next(tries)

    iam.meta.events.register("before-send.iam.CreateRole", name_the_try)
    try:
        first, second = iam.create_role(**role)["Role"], iam.create_role(**role)["Role"]
        assert first["RoleId"] == second["RoleId"]
        with pytest.raises(iam.exceptions.EntityAlreadyExistsException):
            iam.create_role(**role)
    finally:
        iam.delete_role(RoleName="facts")
