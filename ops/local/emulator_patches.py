"""Patch MiniStack where it differs from AWS, and start it. ops/local/emulator.py runs this file as a process.

Each public function below except `main` is one patch. Its docstring says what MiniStack does without the patch, and
what AWS does. The patches of API Gateway are in gateway_patches.py, and those of CloudFront in edge_patches.py.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import queue
import re
import sys
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypercorn.config
from ministack.core import iam_actions, iam_evaluator, lambda_runtime
from ministack.services import cognito, dynamodb, lambda_svc, sts

REPLAYED_RESPONSES = 5000
"""The maximum number of responses to keep for retried requests. One `terraform apply` sends about 3,000 requests."""


def keep_idle_connections_open() -> None:
    """Keep idle HTTP connections open for two hours, which is longer than any run.

    Without this patch, MiniStack closes a connection that has been idle for 75 seconds. A request that arrives at the
    moment of closing gets no response. Of 200 requests that were sent within 10 ms of that moment, 3 got none.
    MiniStack may have carried such a request out. Then Terraform's retry fails with a conflict. Such a request is
    likely, because a `terraform apply` lasts about 75 seconds, just as long as a connection may be idle.
    """

    def two_hours(_config: hypercorn.config.Config) -> float:
        return 7200.0

    def ignore_value(_config: hypercorn.config.Config, _seconds: float) -> None:
        """Do nothing when MiniStack sets the timeout to 75 seconds."""

    hypercorn.config.Config.keep_alive_timeout = property(two_hours, ignore_value)  # type: ignore[assignment]


def replay_responses_to_retries() -> None:
    """Answer a retried request with the response to its first try, instead of carrying the request out twice.

    Even on open connections, MiniStack loses a few of the 3,000 responses of a `terraform apply`. The AWS SDK then
    retries the request. The retry has the same invocation id, which is a header. Without this patch, the retry would
    fail with a conflict, because MiniStack has already carried the request out.
    """
    # Import MiniStack's application only now, because its modules must see the other patches.
    import ministack.app

    responses: dict[bytes, list[dict[str, Any]]] = {}
    serve = ministack.app.app

    async def serve_once(scope: Any, receive: Any, send: Any) -> None:
        invocation = dict(scope.get("headers") or ()).get(b"amz-sdk-invocation-id")
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD") or invocation is None:
            await serve(scope, receive, send)
            return
        if invocation in responses:
            while (await receive()).get("more_body"):
                pass
            for message in responses[invocation]:
                await send(message)
            return
        response: list[dict[str, Any]] = []

        async def send_and_keep(message: dict[str, Any]) -> None:
            response.append(message)
            is_last = message["type"] == "http.response.body" and not message.get("more_body")
            if is_last and response[0]["status"] < 300:
                responses[invocation] = response
                if len(responses) > REPLAYED_RESPONSES:
                    del responses[next(iter(responses))]
            await send(message)

        await serve(scope, receive, send_and_keep)

    ministack.app.app = serve_once


def check_each_statement_of_a_batch() -> None:
    """Let IAM check each PartiQL statement of a batch, with the statement's own action and table.

    Without this patch, MiniStack checks the whole batch once, for `dynamodb:BatchExecuteStatement` on all resources.
    AWS has no such IAM action. On AWS, each statement needs the permission PartiQLInsert or PartiQLUpdate on its table.
    """
    original = iam_actions.dynamodb_transaction_checks

    def checks(action: str, body: bytes, region: str, account: str) -> Any:
        if action != "dynamodb:BatchExecuteStatement":
            return original(action, body, region, account)
        statements = [statement["Statement"] for statement in json.loads(body)["Statements"]]
        matches = [re.match('(INSERT|UPDATE) (?:INTO )?"([^"]+)"', statement) for statement in statements]
        tables = f"arn:aws:dynamodb:{region}:{account}:table/"
        understood = [match for match in matches if match]
        if len(understood) < len(matches):
            return []
        return [(f"dynamodb:PartiQL{match[1].capitalize()}", tables + match[2]) for match in understood]

    iam_actions.dynamodb_transaction_checks = checks


def check_a_batch_for_a_queue_as_its_messages() -> None:
    """Let IAM check a batch of SQS messages for the action of a single message, such as `sqs:SendMessage`.

    Without this patch, MiniStack checks `sqs:SendMessageBatch`. AWS has no such IAM action:
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-batch-api.html
    """
    original = iam_actions.extract_iam_action

    def action(*arguments: Any, **named: Any) -> str | None:
        found: str | None = original(*arguments, **named)
        return found.removesuffix("Batch") if found and found.startswith("sqs:") else found

    iam_actions.extract_iam_action = action


def tell_iam_the_item_key() -> None:
    """Let IAM policies restrict a request by the key of the item that it names (`dynamodb:LeadingKeys`), as on AWS.

    Without this patch, MiniStack doesn't know `dynamodb:LeadingKeys`. A condition on `dynamodb:LeadingKeys` in a policy
    would then be true for every item, so the policy would restrict nothing.
    """
    original = iam_actions.dynamodb_service_context

    def context(body: bytes) -> dict[str, Any]:
        values: dict[str, Any] = original(body)
        request = json.loads(body) if values else {}
        keys = [request[part]["pk"]["S"] for part in ("Item", "Key") if "pk" in (request.get(part) or {})]
        return values | ({"dynamodb:LeadingKeys": keys} if keys else {})

    iam_actions.dynamodb_service_context = context


def redeliver_failed_stream_records() -> None:
    """Deliver a batch from Kinesis or from a table's stream again if the function reports some records as failed.

    Without this patch, MiniStack ignores the function's report, so the failed records would be lost. AWS delivers the
    batch again, beginning with the first failed record. This patch delivers the whole batch again. The functions can
    handle that, because AWS too may deliver any record twice.
    """
    original = lambda_svc._execute_function

    def execute(function: Any, event: Any) -> Any:
        result = original(function, event)
        records = event.get("Records") if isinstance(event, dict) else None
        if records and records[0].get("eventSource") in ("aws:kinesis", "aws:dynamodb") and not result.get("error"):
            body = result.get("body")
            report = json.loads(body or "{}") if isinstance(body, str) else body
            if isinstance(report, dict) and report.get("batchItemFailures"):
                return {**result, "error": True}
        return result

    lambda_svc._execute_function = execute


def stream_partiql_writes() -> None:
    """When a PartiQL statement writes an item, send the item to the table's stream and replica, as AWS does.

    Without this patch, MiniStack sends such an item to neither. Items that `apply` writes in bulk would then never
    become documents. This patch works only for tables without a sort key. Readplane has no other tables.
    """

    def streamed(statement: Callable[..., Any], key_of: Callable[[Any, Any], Any]) -> Callable[..., Any]:
        def execute(table: Any, parsed: Any, *more: Any) -> Any:
            key = key_of(table, parsed)
            before = copy.deepcopy(table["items"].get(key, {}).get("__no_sort__"))
            response = statement(table, parsed, *more)
            if response[0] == 200:
                after = copy.deepcopy(table["items"][key]["__no_sort__"])
                dynamodb._emit_stream_event(table["TableName"], "MODIFY" if before else "INSERT", before, after)
            return response

        return execute

    def inserted_key(table: Any, parsed: Any) -> Any:
        item = parsed["item"]
        return dynamodb._extract_key_val(item.get("M", item).get(table["pk_name"]))

    def updated_key(table: Any, parsed: Any) -> Any:
        return dynamodb._partiql_key_target(table, parsed)[0]

    dynamodb._partiql_insert = streamed(dynamodb._partiql_insert, inserted_key)
    dynamodb._partiql_update = streamed(dynamodb._partiql_update, updated_key)


def publish_whole_log() -> None:
    """Publish all log lines of an invocation when the invocation ends, as AWS does.

    Without this patch, MiniStack publishes the lines that its reader thread has read 5 ms after the end. It keeps the
    others until the same process of the function runs again. If that process isn't needed again, they are lost. With
    this patch, each process marks the end of an invocation in its log, and MiniStack reads the log up to the mark.
    """
    mark = "ministack: end of invocation"
    respond = "        _real_stdout.flush()\n\nrun()\n"
    script = lambda_runtime._PYTHON_WORKER_SCRIPT
    assert script.count(respond) == 1, "MiniStack's worker script has another end than this patch expects"
    mark_end = f"        sys.stderr.write({mark!r} + chr(10))\n        sys.stderr.flush()\n"
    lambda_runtime._PYTHON_WORKER_SCRIPT = script.replace(respond, mark_end + respond)

    def drain_to_mark(worker: Any, **_waits: float) -> str:
        lines: list[str] = []
        while True:
            try:
                line = worker._stderr_queue.get(timeout=1)
            except queue.Empty:
                # A process that died has left no mark. Its log is whole when nothing more comes. On a busy machine the
                # mark of a living process may take longer, and would be taken for that of the next invocation.
                if worker._proc is None or worker._proc.poll() is not None:
                    break
                continue
            if line == mark:
                break
            lines.append(line)
        return "\n".join(lines)

    lambda_runtime.Worker._drain_stderr_bounded = drain_to_mark


def revoke_refresh_tokens() -> None:
    """Let a browser revoke a refresh token with `POST /oauth2/revoke`, as on AWS.

    Without this patch, MiniStack has only the API operation `RevokeToken`. It responds 400 to the endpoint, whose body
    is a form, because it expects JSON.
    """
    original = cognito.handle_request

    async def handle(method: str, path: str, headers: Any, body: bytes, query: Any) -> Any:
        if (method, path) != ("POST", "/oauth2/revoke"):
            return await original(method, path, headers, body, query)
        form = urllib.parse.parse_qs(body.decode(errors="replace"))
        if not form.get("token"):
            return 400, {"Content-Type": "application/json"}, b'{"error":"invalid_request"}'
        cognito._revoke_token({"Token": form["token"][0]})
        return 200, {}, b""

    cognito.handle_request = handle


def name_groups_in_refreshed_tokens() -> None:
    """Name the user's groups in tokens that `POST /oauth2/token` gives for a refresh token, as on AWS.

    Without this patch, MiniStack leaves the groups out. An editor of the web client would then lose the right to write
    when the first access token expires.
    """
    original = cognito._fake_token

    def token(sub: str, pool_id: str, *more: Any, **claims: Any) -> Any:
        if claims.get("trigger_source") == "TokenGeneration_RefreshTokens" and "groups" not in claims:
            user = cognito._get_pool_unscoped(pool_id)["_users"].get(claims["username"]) or {}
            claims["groups"] = user.get("_groups", [])
        return original(sub, pool_id, *more, **claims)

    cognito._fake_token = token


def tag_sessions_of_identity_pools() -> None:
    """Tag the session of an identity pool's credentials with the user's claims, as its mapping says, as on AWS.

    Without this patch, MiniStack stores the mapping but sets no tags. A policy with `${aws:PrincipalTag/…}` would then
    refuse everybody.
    """
    original = cognito._get_credentials_for_identity

    def credentials(data: Any) -> Any:
        response = original(data)
        session = sts._sessions.get(json.loads(response[2]).get("Credentials", {}).get("AccessKeyId"))
        if session:
            mappings = (cognito._identity_pools.get(session["_identity_pool_id"]) or {}).get("_principal_tags", {})
            session["SessionTags"] = [
                {"Key": tag, "Value": str(claims[claim])}
                for provider, claims in (
                    (name, cognito._token_claims(token)) for name, token in session["_logins"].items()
                )
                for tag, claim in mappings.get(provider, {}).get("PrincipalTags", {}).items()
                if claim in claims
            ]
        return response

    cognito._get_credentials_for_identity = credentials


def resolve_policy_variables() -> None:
    """Put the values of variables such as `${aws:PrincipalTag/sub}` into the resources of policies, as AWS does.

    Without this patch, MiniStack compares a variable with the resource letter by letter, so it never matches. A
    variable without a value matches nothing on AWS either.
    """
    original = iam_evaluator._first_match
    variable = re.compile(r"\$\{([^}]+)\}")

    def first_match(context: Any, statements: Any, effect: str) -> Any:
        def value(match: re.Match[str]) -> str:
            return str(iam_evaluator._resolve_condition_key(match[1], context) or match[0])

        resolved = [
            dataclasses.replace(statement, resources=[variable.sub(value, text) for text in statement.resources])
            if any("${" in text for text in statement.resources)
            else statement
            for statement in statements
        ]
        return original(context, resolved, effect)

    iam_evaluator._first_match = first_match


def main() -> None:
    """Apply every patch and run MiniStack until it is stopped."""
    keep_idle_connections_open()
    check_each_statement_of_a_batch()
    check_a_batch_for_a_queue_as_its_messages()
    tell_iam_the_item_key()
    redeliver_failed_stream_records()
    stream_partiql_writes()
    publish_whole_log()
    revoke_refresh_tokens()
    name_groups_in_refreshed_tokens()
    tag_sessions_of_identity_pools()
    resolve_policy_variables()

    # The repository isn't in this process's module path, because it could shadow a module of MiniStack. So it is added
    # only for this import.
    sys.path.append(str(Path(__file__).resolve().parents[2]))
    from ops.local import edge_patches, gateway_patches

    sys.path.pop()
    gateway_patches.apply()

    # Import MiniStack's application only now, because its modules must see the patches above.
    import ministack.app

    gateway_patches.route_by_the_path_as_sent()
    replay_responses_to_retries()
    ministack.app.app = edge_patches.apply(ministack.app.app)
    ministack.app.main()


if __name__ == "__main__":
    main()
