"""Tests that show where the emulator MiniStack differs from AWS. Readplane has a workaround for each difference.

The workarounds are in environments/local.tfvars, in ops/local/emulator_patches.py and gateway_patches.py, and in other
tests. If a test here fails, an upgrade of MiniStack has removed the difference. Then remove the workaround that the
test names.
"""

import asyncio
import base64
import inspect
import json
import socket
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ministack.app
import pytest
import requests
from ministack.core import iam_actions, iam_evaluator, lambda_runtime
from ministack.services import apigateway_v1, cognito, dynamodb, lambda_svc, sts

from ops.local.session import PASSWORD, claims
from tests.local.pipeline import log_keys
from tests.local.support import Local, eventually


@pytest.fixture(autouse=True)
def only_ministack(stack: Local) -> None:
    if not stack.ministack:
        pytest.skip("these are gaps of MiniStack")


@contextmanager
def rest_api(stack: Local) -> Iterator[tuple[Any, str, str]]:
    gateway: Any = stack.root().client("apigateway")
    api = gateway.create_rest_api(name="facts")["id"]
    try:
        yield gateway, api, gateway.get_resources(restApiId=api)["items"][0]["id"]
    finally:
        gateway.delete_rest_api(restApiId=api)


def test_api_gateway_has_no_s3_integration(stack: Local) -> None:
    """MiniStack's API Gateway can't serve S3 objects without a function.

    Workaround: documents_integration = "lambda" in local.tfvars.
    """
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


def test_the_cache_cluster_of_a_stage_has_no_status(stack: Local) -> None:
    """MiniStack returns no status of a stage's cache cluster. Terraform's AWS provider fails without this status.

    Workaround: cache_size = null in local.tfvars.
    """
    with rest_api(stack) as (gateway, api, resource):
        gateway.put_method(restApiId=api, resourceId=resource, httpMethod="GET", authorizationType="NONE")
        gateway.put_integration(restApiId=api, resourceId=resource, httpMethod="GET", type="MOCK")
        deployment = gateway.create_deployment(restApiId=api)["id"]
        stage = gateway.create_stage(
            restApiId=api, deploymentId=deployment, stageName="v1", cacheClusterEnabled=True, cacheClusterSize="0.5"
        )
        assert not stage.get("cacheClusterStatus")


def test_firehose_does_not_compress_objects(stack: Local) -> None:
    """MiniStack's Firehose writes uncompressed objects, although the stack configures GZIP.

    Workaround: lines_of() in pipeline.py reads compressed and uncompressed objects. `apply` needs no workaround,
    because it reads both on AWS too.
    """
    api = stack.api(stack.eve)
    assert api("PUT", "/items/notices/unpacked", {"title": "x"}).status_code == 202
    keys = eventually(lambda: [key for key in log_keys(stack) if stack.outputs.delivery_stream in key])
    body = stack.root().client("s3").get_object(Bucket=stack.outputs.write_log_bucket, Key=keys[-1])["Body"].read()
    assert json.loads(body.splitlines()[0])["change_id"]


def test_a_path_is_decoded_before_routing() -> None:
    """MiniStack decodes a path before it chooses a route. So %2F separates segments, and parameters arrive decoded.

    Workaround: gateway_patches.py routes by the path as the client sent it. Without the workaround, no test would
    notice if a function didn't decode its path parameters.
    """
    source = inspect.getsource(ministack.app._handle_execute_api_request)
    assert "parsed = _parse_execute_api_url(host, path)" in source
    assert "apigw_v1.handle_execute(api_id, stage, method, execute_path, headers, body, query_params)" in source


def test_a_mock_ignores_content_types_and_variables() -> None:
    """MiniStack's mocks use the template for application/json only, set no variables, and always have a body.

    Workaround: gateway_patches.py answers as the mock is configured. Without the workaround, the responses to
    preflights would have a body, and the problem document of a 405 would have no request id.
    """
    response = {"statusCode": "405", "responseTemplates": {"application/json": "$context.extendedRequestId"}}
    templates = {"text/plain": '{"statusCode": 405}'}
    mock = {"requestTemplates": templates, "integrationResponses": {"405": response}}
    assert apigateway_v1._invoke_mock_v1(mock)[::2] == (405, b"$context.extendedRequestId")
    mock = {"requestTemplates": {}, "integrationResponses": {"204": {"statusCode": "204"}}}
    assert apigateway_v1._invoke_mock_v1(mock)[::2] == (204, b"{}")


def test_a_refusal_does_not_set_the_extended_request_id() -> None:
    """MiniStack sets a few variables in a gateway response. `$context.extendedRequestId` is none of them.

    Workaround: gateway_patches.py sets it. Without the workaround, every problem document that API Gateway itself makes
    would have the variable's name as its request id.
    """
    source = inspect.getsource(apigateway_v1._gateway_error_response)
    assert '"context.requestId"' in source and "extendedRequestId" not in source


def test_an_http_integration_is_treated_as_a_proxy() -> None:
    """MiniStack passes on everything that a client sends to an `http` integration, as to an `http_proxy` integration.

    Workaround: gateway_patches.py passes on only what the integration maps, and maps the response.
    """
    assert 'int_type in ("HTTP_PROXY", "HTTP")' in inspect.getsource(apigateway_v1._execute_in_scope)


def test_a_function_without_free_concurrency_is_a_429() -> None:
    """MiniStack responds 429 if Lambda throttles a function. AWS uses the gateway response INTEGRATION_FAILURE.

    Workaround: gateway_patches.py does what AWS does.
    """
    result = {"throttle": True, "body": {"Reason": "ReservedFunctionConcurrentInvocationLimitExceeded"}}
    response, _ = apigateway_v1._lambda_proxy_response(result)
    assert response["statusCode"] == 429


def test_an_import_leaves_any_method_out() -> None:
    """MiniStack's import of OpenAPI documents leaves out `x-amazon-apigateway-any-method`.

    Workaround: gateway_patches.py imports it. Without the workaround, a method that a path doesn't have would be a 404
    instead of a 405.
    """
    assert "x-amazon-apigateway-any-method" not in apigateway_v1._OPENAPI_HTTP_METHODS
    assert "if method.lower() in _OPENAPI_HTTP_METHODS" in inspect.getsource(apigateway_v1._import_path_item)


def test_s3_responds_404_for_a_missing_key_although_the_role_may_not_list(stack: Local) -> None:
    """On AWS, S3 responds 403 for a missing key if the role lacks s3:ListBucket. MiniStack responds 404.

    `read` treats the 403 as a missing document. Workaround: only the unit tests check how `read` handles the 403.
    """
    role = next(
        role["Arn"]
        for role in stack.root().client("iam").list_roles()["Roles"]
        if role["RoleName"] == f"{stack.outputs.name}-{stack.outputs.region}-read"
    )
    credentials = stack.root().client("sts").assume_role(RoleArn=role, RoleSessionName="facts")["Credentials"]
    s3: Any = stack.root().client(
        "s3",
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
    )
    with pytest.raises(s3.exceptions.NoSuchKey):
        s3.get_object(Bucket=stack.outputs.documents_bucket, Key="public/documents/countries/none")


def test_iam_is_asked_for_a_batch_of_statements_as_a_whole() -> None:
    """MiniStack's IAM checks only dynamodb:BatchExecuteStatement, whatever kinds of statements a batch contains.

    AWS checks an action for each kind of statement, such as dynamodb:PartiQLInsert. Workaround: emulator_patches.py
    checks the same actions as AWS.
    """
    statements = [{"Statement": """INSERT INTO "items" VALUE {'pk':?}""", "Parameters": [{"S": "1"}]}]
    body = json.dumps({"Statements": statements}).encode()
    headers = {"x-amz-target": "DynamoDB_20120810.BatchExecuteStatement"}
    action = iam_actions.extract_iam_action("dynamodb", "POST", "/", headers, body, {})
    assert action == "dynamodb:BatchExecuteStatement"
    assert iam_actions.dynamodb_transaction_checks(action, body, "eu-central-1", "000000000000") == []


def test_iam_is_asked_for_a_batch_of_messages_by_a_name_of_its_own() -> None:
    """MiniStack's IAM checks sqs:SendMessageBatch, which isn't an action of AWS's IAM.

    AWS checks sqs:SendMessage. Workaround: emulator_patches.py checks the same action as AWS. Without the workaround,
    `publish` could send no keys to the queues of `feed`.
    """
    headers = {"x-amz-target": "AmazonSQS.SendMessageBatch"}
    action = iam_actions.extract_iam_action("sqs", "POST", "/", headers, b"{}", {})
    assert action == "sqs:SendMessageBatch"


def test_iam_conditions_do_not_see_the_key_of_an_item() -> None:
    """MiniStack's IAM doesn't set the condition key dynamodb:LeadingKeys, so it can't limit a role to some items.

    Workaround: emulator_patches.py sets the condition key. Without the workaround, no test would notice if the role of
    `poll` allowed it to write every item.
    """
    body = json.dumps({"TableName": "items", "Item": {"pk": {"S": "source/x"}}}).encode()
    assert "dynamodb:LeadingKeys" not in iam_actions.dynamodb_service_context(body)


def test_a_partiql_write_reaches_no_stream() -> None:
    """MiniStack puts no record into a table's stream when a PartiQL statement writes an item.

    Workaround: emulator_patches.py writes the stream record. Without the workaround, `publish` would miss the items
    that `apply` writes in bulk.
    """
    for statement in (dynamodb._partiql_insert, dynamodb._partiql_update):
        assert "_set_item" in inspect.getsource(statement)
        assert "_emit_stream_event" not in inspect.getsource(statement)


@pytest.mark.parametrize("poller", ["_poll_kinesis", "_poll_dynamodb_streams"])
def test_a_batch_from_a_stream_counts_as_handled_whatever_the_function_reports(poller: str) -> None:
    """MiniStack never retries the records of a stream's batch that a function reports as failed.

    Workaround: emulator_patches.py retries the failed records. Without the workaround, their changes would be lost.
    """
    assert "batchItemFailures" not in inspect.getsource(getattr(lambda_svc, poller))
    assert "batchItemFailures" in inspect.getsource(lambda_svc._run_sqs_batch), "the emulator does this for a queue"


def test_late_log_lines_wait_for_the_next_invocation() -> None:
    """MiniStack publishes only the log lines that it has read 5 ms after an invocation.

    Workaround: emulator_patches.py reads the log up to a mark. Without the workaround, the tests would miss log lines
    of a process that doesn't run again.
    """
    assert "idle_confirm: float = 0.005" in inspect.getsource(lambda_runtime.Worker._drain_stderr_bounded)


def test_a_batch_from_kinesis_is_retried_without_limit() -> None:
    """MiniStack ignores the retry limits of an event source mapping, so it retries a failing Kinesis batch forever.

    Workaround: the tests in terraform/tests check only that the limits are configured with the right values.
    """
    source = inspect.getsource(lambda_svc._poll_kinesis)
    for bound in ("MaximumRecordAgeInSeconds", "MaximumRetryAttempts", "BisectBatchOnFunctionError", "OnFailure"):
        assert bound not in source


def test_no_endpoint_revokes_a_refresh_token(stack: Local) -> None:
    """MiniStack takes the form of `POST /oauth2/revoke` for JSON. The operation `RevokeToken` works.

    Workaround: the patch revoke_refresh_tokens in emulator_patches.py.
    """
    status, _, body = asyncio.run(cognito.handle_request("POST", "/oauth2/revoke", {}, b"token=a&client_id=b", {}))
    assert (status, json.loads(body)["__type"]) == (400, "SerializationException")
    # With the patch, a refresh token that is revoked gives no access token any longer.
    client = {"client_id": stack.outputs.web_client_id}
    refresh = {**client, "grant_type": "refresh_token", "refresh_token": hosted_page_tokens(stack)["refresh_token"]}
    assert post_form(stack, "/oauth2/token", refresh).status_code == 200
    assert post_form(stack, "/oauth2/revoke", client).status_code == 400
    revoked = post_form(stack, "/oauth2/revoke", {**client, "token": refresh["refresh_token"]})
    assert (revoked.status_code, revoked.content) == (200, b"")
    assert revoked.headers["Access-Control-Allow-Origin"] == "*"
    assert post_form(stack, "/oauth2/token", refresh).status_code == 400


def test_refreshed_tokens_do_not_name_groups(stack: Local) -> None:
    """MiniStack's `POST /oauth2/token` leaves the user's groups out of the tokens for a refresh token.

    Workaround: the patch name_groups_in_refreshed_tokens in emulator_patches.py.
    """
    source = inspect.getsource(cognito._oauth2_token)
    _, refresh_branch = source.split('if grant_type == "refresh_token":')
    assert "_fake_token(" in refresh_branch
    assert "groups" not in refresh_branch.split("if grant_type ==")[0]
    # With the patch, they are there.
    form = {
        "client_id": stack.outputs.web_client_id,
        "grant_type": "refresh_token",
        "refresh_token": hosted_page_tokens(stack)["refresh_token"],
    }
    refreshed = post_form(stack, "/oauth2/token", form).json()
    assert claims(refreshed["access_token"])["cognito:groups"] == ["editors"]


def post_form(stack: Local, path: str, form: dict[str, str]) -> requests.Response:
    return requests.post(stack.stack.endpoint + path, data=form, timeout=10, allow_redirects=False)


def hosted_page_tokens(stack: Local) -> dict[str, str]:
    """Sign Eve in with the form of the hosted page, and return the tokens."""
    client = {"client_id": stack.outputs.web_client_id, "redirect_uri": "http://localhost:8080/callback"}
    form = {"scope": "openid", "response_type": "code", "username": stack.eve.name, "password": PASSWORD}
    location = post_form(stack, "/login", client | form).headers["Location"]
    code = urllib.parse.parse_qs(urllib.parse.urlsplit(location).query)["code"][0]
    exchange = client | {"grant_type": "authorization_code", "code": code}
    tokens: dict[str, str] = post_form(stack, "/oauth2/token", exchange).json()
    return tokens


def test_credentials_of_an_identity_pool_have_no_tags() -> None:
    """MiniStack stores which claims become tags of a session, but sets no tags.

    Workaround: the patch tag_sessions_of_identity_pools in emulator_patches.py. test_identity_pool.py needs it.
    """
    issuer = "cognito-idp.us-east-1.amazonaws.com/us-east-1_facts"
    created = cognito._create_identity_pool({"IdentityPoolName": "facts", "AllowUnauthenticatedIdentities": False})
    pool = json.loads(created[2])["IdentityPoolId"]
    try:
        names = {"IdentityPoolId": pool, "IdentityProviderName": issuer}
        cognito._set_principal_tag_attribute_map(names | {"PrincipalTags": {"sub": "sub"}})
        assert json.loads(cognito._get_principal_tag_attribute_map(names)[2])["PrincipalTags"] == {"sub": "sub"}
        payload = base64.urlsafe_b64encode(json.dumps({"sub": "alice"}).encode()).decode()
        logins = {"Logins": {issuer: f"e30.{payload}.x"}}
        identity = json.loads(cognito._get_id({"IdentityPoolId": pool} | logins)[2])["IdentityId"]
        given = json.loads(cognito._get_credentials_for_identity({"IdentityId": identity} | logins)[2])["Credentials"]
        session = sts._sessions[given["AccessKeyId"]]
        assert session["_logins"] == logins["Logins"]
        assert not session.get("SessionTags")
    finally:
        cognito._delete_identity_pool({"IdentityPoolId": pool})


def test_a_policy_variable_matches_nothing() -> None:
    """MiniStack compares `${aws:PrincipalTag/sub}` in a policy's resource letter by letter.

    Workaround: the patch resolve_policy_variables in emulator_patches.py. test_identity_pool.py needs it.
    """
    resource = "arn:aws:s3:::a-bucket/${aws:PrincipalTag/sub}/*"
    statement = iam_evaluator.ParsedStatement("own", "Allow", actions=["s3:GetObject"], resources=[resource])
    for name, allowed in (("alice", False), ("${aws:PrincipalTag/sub}", True)):
        context = iam_evaluator.EvalContext(
            principal_arn="arn:aws:sts::000000000000:assumed-role/owner/session",
            principal_type="AssumedRole",
            principal_account="000000000000",
            action="s3:GetObject",
            resource_arn=f"arn:aws:s3:::a-bucket/{name}/document",
            region="us-east-1",
            principal_keys={"aws:principaltag/sub": "alice"},
        )
        assert (iam_evaluator.evaluate(context, [[statement]]).decision == "Allow") is allowed


def test_an_identity_pool_gives_credentials_to_guests() -> None:
    """MiniStack gives credentials to guests whatever the pool allows. They have no rights.

    Workaround: test_identity_pool.py checks that these credentials open nothing. On AWS, guests get none.
    """
    created = cognito._create_identity_pool({"IdentityPoolName": "facts", "AllowUnauthenticatedIdentities": False})
    pool = json.loads(created[2])["IdentityPoolId"]
    try:
        assert json.loads(cognito._get_id({"IdentityPoolId": pool})[2])["IdentityId"]
    finally:
        cognito._delete_identity_pool({"IdentityPoolId": pool})


def test_the_value_of_an_api_key_is_known_in_one_region_only(stack: Local) -> None:
    """MiniStack accepts an API key in the primary Region only, although both Regions have a key with the same value.

    Workaround: test_backends.py calls backends only in the primary Region.
    """
    key, path = "local-key-of-the-backoffice", "/backends/backoffice/languages.json?_size=1"
    statuses = [
        stack.api(replica=replica)("GET", path, headers={"X-Api-Key": key}).status_code for replica in (False, True)
    ]
    assert statuses == [200, 403]


def test_proxy_integrations_pass_every_header_and_have_no_timeout(stack: Local) -> None:
    """MiniStack's `http_proxy` integrations ignore the configured request headers and the configured timeout.

    Workaround: the tests in tests/localstack and terraform/tests check the headers and timeouts.
    """
    received: list[bytes] = []
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

        def respond() -> None:
            connection, _ = office.accept()
            with connection:
                received.append(connection.recv(65536))
                time.sleep(0.5)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

        thread = threading.Thread(target=respond)
        thread.start()
        url = f"{stack.stack.endpoint}/_aws/execute-api/{api}/v1/"
        assert requests.get(url, headers={"Authorization": "Bearer x"}, timeout=10).status_code == 200
        thread.join()
    assert b"authorization: bearer x" in received[0].lower()


def test_an_api_key_without_a_value_is_refused(stack: Local) -> None:
    """MiniStack refuses an API key without a value. On AWS, API Gateway generates the value of such a key.

    Terraform's AWS provider relies on the generated value. Workaround: backend_api_keys in local.tfvars sets values.
    """
    gateway: Any = stack.root().client("apigateway")
    with pytest.raises(gateway.exceptions.BadRequestException, match="at least 20 characters"):
        gateway.create_api_key(name="facts", value="")


def test_an_export_of_an_api_is_not_whole() -> None:
    """MiniStack exports an API without its Cognito authorizers, gateway responses and resource policy.

    AWS exports all of them. Workaround: gateway_patches.py adds them to the export, so that `readplane api compare`
    can compare them.
    """
    source = inspect.getsource(apigateway_v1._build_api_export)
    assert 'method_obj.get("authorizationType") == "CUSTOM"' in source, "no other authorizers are exported"
    for extension in ("x-amazon-apigateway-gateway-responses", "x-amazon-apigateway-policy"):
        assert extension not in inspect.getsource(apigateway_v1)


def test_a_retried_request_is_carried_out_once(stack: Local) -> None:
    """The patched emulator must carry out a request only once if the AWS SDK retries it. Plain MiniStack repeats it.

    Workaround: emulator_patches.py recognises a retry by its amz-sdk-invocation-id header.
    """
    iam: Any = stack.root().client("iam", region_name=stack.outputs.region)  # not the client of the other tests
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


def test_an_export_of_a_table_writes_no_object() -> None:
    """MiniStack's DescribeExport says that an export is complete and where its manifest is. But there is no object.

    Workaround: the unit tests read an export's objects as AWS's documentation shows them (test_table_export.py). So no
    local test runs `verify --export`.
    """
    for operation in (dynamodb._export_table_to_point_in_time, dynamodb._describe_export):
        assert "put_object" not in inspect.getsource(operation)
    assert "ExportManifest" in inspect.getsource(dynamodb._describe_export)
