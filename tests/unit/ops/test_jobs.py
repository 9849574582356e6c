"""Test resumable jobs: position, lock, rate limit, signals, audit objects, and the options of their commands."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import boto3
import click
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from click.testing import CliRunner

from ops.cli.target import Target
from ops.console import ROOT, CommandError
from ops.jobs import (
    Job,
    JobOptions,
    JobStoppedError,
    JobTakenError,
    job_id,
    job_options,
    open_job,
    plain_errors,
    state_key,
    unfinished_job,
)
from tests.fakes.moto_aws import REGION, Aws
from tests.unit.ops.cli.support import OUTPUTS, objects

YES = JobOptions(yes=True)


@pytest.fixture
def target(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> Target:
    """Return a test stack with a versioned log bucket in moto. Every step of its jobs is saved."""
    make: Any = boto3.client
    make("s3").create_bucket(Bucket="log", CreateBucketConfiguration={"LocationConstraint": REGION})
    make("s3").put_bucket_versioning(Bucket="log", VersioningConfiguration={"Status": "Enabled"})
    monkeypatch.setattr("ops.jobs.SAVE_SECONDS", 0.0)
    return Target(OUTPUTS)


def content(key: str) -> dict[str, Any]:
    """Return the JSON of an object in the log bucket."""
    make: Any = boto3.client
    found: dict[str, Any] = json.loads(make("s3").get_object(Bucket="log", Key=key)["Body"].read())
    return found


def audits() -> list[dict[str, Any]]:
    """Return the audit objects, the oldest first."""
    return [content(key) for key in objects("config/audit/")]


def abandon(stack: ExitStack, target: Target, **options: bool) -> Job:
    """Begin a job that a test leaves open, as a killed process does, until the test ends."""
    return stack.enter_context(open_job(target, "count", {}, JobOptions(yes=True, **options)))


def delete_bucket() -> None:
    """Delete the log bucket with all that it holds."""
    make: Any = boto3.client
    for version in make("s3").list_object_versions(Bucket="log").get("Versions", []):
        make("s3").delete_object(Bucket="log", Key=version["Key"], VersionId=version["VersionId"])
    make("s3").delete_bucket(Bucket="log")


def test_a_job_ends_with_an_audit_object_and_a_summary(target: Target, capsys: pytest.CaptureFixture[str]) -> None:
    with open_job(target, "erase begin", {"of": "a"}, YES) as job:
        assert job.position is None and job.operator.startswith("arn:aws:")
        job.advance("b", items=2)
        job.advance("c", items=1, documents=5)
    assert capsys.readouterr().out == "erase begin: done. items 3, documents 5.\n"
    state = content(f"config/jobs/erase-begin-{job_id('erase begin', {'of': 'a'})}.json")
    assert (state["outcome"], state["position"], state["counts"]) == ("done", None, {"items": 3, "documents": 5})
    (audit,) = audits()
    expected = {
        "command": "erase begin",
        "arguments": {"of": "a"},
        "operator": job.operator,
        "outcome": "done",
        "counts": {"items": 3, "documents": 5},
    }
    assert audit.items() >= expected.items()


def test_a_failed_job_goes_on_from_its_position_with_its_counts_and_its_first_time(target: Target) -> None:
    with pytest.raises(CommandError, match="broken"), open_job(target, "count", {}, YES) as job:
        job.advance(7, numbers=7)
        raise CommandError("broken")
    before = unfinished_job(target, "count", {})
    assert before and (before.position, before.outcome) == (7, "failed")
    with open_job(target, "count", {}, YES) as again:
        assert (again.position, again.counts, again.started_ms) == (7, {"numbers": 7}, job.started_ms)
        again.advance(8, numbers=1)
    assert unfinished_job(target, "count", {}) is None
    assert [(audit["outcome"], audit["counts"]["numbers"]) for audit in audits()] == [("failed", 7), ("done", 8)]


def test_other_arguments_are_another_job(target: Target) -> None:
    with pytest.raises(CommandError), open_job(target, "count", {"to": 9}, YES) as job:
        job.advance(7)
        raise CommandError("broken")
    with open_job(target, "count", {"to": 10}, YES) as other:
        assert other.position is None and other.id != job.id
    assert unfinished_job(target, "count", {"to": 9})


def test_restart_forgets_the_position(target: Target) -> None:
    with pytest.raises(CommandError), open_job(target, "count", {}, YES) as job:
        job.advance(7, numbers=7)
        raise CommandError("broken")
    with open_job(target, "count", {}, YES._replace(restart=True)) as again:
        assert again.position is None and not again.counts


def test_a_done_job_begins_anew_only_if_it_is_repeatable(target: Target) -> None:
    with open_job(target, "count", {}, YES) as job:
        job.advance(7, numbers=7)
    with open_job(target, "count", {}, YES) as job:
        assert job.position is None and not job.counts
    with (
        pytest.raises(CommandError, match=r"is done .* --restart"),
        open_job(target, "count", {}, YES, repeatable=False),
    ):
        pytest.fail("the block must not run")
    with open_job(target, "count", {}, YES._replace(restart=True), repeatable=False) as job:
        assert job.position is None


def test_a_second_operator_is_refused_or_takes_over(target: Target) -> None:
    with pytest.raises(JobTakenError), ExitStack() as stack:
        first = abandon(stack, target)
        first.advance(3, numbers=3)
        with pytest.raises(CommandError, match=r"arn:aws:.* runs this job since .*--take-over"):
            abandon(stack, target)
        second = abandon(stack, target, take_over=True)
        assert (second.position, second.counts) == (3, {"numbers": 3})
        with pytest.raises(JobTakenError):
            first.advance(4, numbers=1)
        second.advance(4, numbers=1)
        assert content(state_key("count", {}))["counts"] == {"numbers": 4}


def test_a_run_that_was_taken_over_leaves_an_audit_object(target: Target) -> None:
    with ExitStack() as stack, pytest.raises(JobTakenError), open_job(target, "count", {}, YES) as first:
        first.advance("a", items=1)
        abandon(stack, target, take_over=True)
        first.advance("b", items=1)
    assert {audit["outcome"]: audit["counts"] for audit in audits()} == {
        "taken over": {"items": 2},
        "done": {"items": 1},
    }


def test_a_job_is_done_even_if_its_audit_object_cannot_be_written(
    target: Target, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save = Job._save

    def save_and_lose_the_bucket(job: Job) -> None:
        save(job)
        if content(job.key)["outcome"] == "done":
            delete_bucket()

    monkeypatch.setattr(Job, "_save", save_and_lose_the_bucket)
    with open_job(target, "count", {}, YES) as job:
        job.advance("a", items=1)
    printed = capsys.readouterr()
    assert printed.out == "count: done. items 1.\n"
    assert "The audit object couldn't be written (NoSuchBucket)" in printed.err


def test_the_first_error_is_shown_even_if_the_end_cannot_be_written(
    target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match="the first"), open_job(target, "count", {}, YES):
        delete_bucket()
        raise ValueError("the first")
    assert "The state couldn't be written" in capsys.readouterr().err


def test_a_job_whose_process_is_dead_is_free_after_the_lease(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(JobTakenError), ExitStack() as stack:
        abandon(stack, target).advance(3)
        monkeypatch.setattr("ops.jobs.LEASE_SECONDS", -1.0)
        assert abandon(stack, target).position == 3


def saves(job: Job) -> int:
    """Return how often the job's run has written its state."""
    return int(content(job.key)["saves"])


def wait_for(is_done: Callable[[], bool]) -> bool:
    """Wait up to ten seconds until something is so, without calling the job. Return whether it is."""
    deadline = time.monotonic() + 10
    while not is_done() and time.monotonic() < deadline:
        time.sleep(0.02)
    return is_done()


def test_a_step_of_three_leases_keeps_the_lock(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    # S3's times have whole seconds. So a state that was written within the last second may be one second old.
    monkeypatch.setattr("ops.jobs.LEASE_SECONDS", 1.1)
    monkeypatch.setattr("ops.jobs.RENEW_SECONDS", 0.1)
    with ExitStack() as stack, open_job(target, "count", {}, YES) as job:
        job.advance(7, numbers=7)
        time.sleep(3.3)
        with pytest.raises(CommandError, match="runs this job since"):
            abandon(stack, target)
        job.advance(8, numbers=1)
    assert (content(job.key)["outcome"], audits()[0]["counts"]) == ("done", {"numbers": 8})


def take_over(stack: ExitStack, target: Target, first: Job) -> Job:
    """Take a job over in a long step, and wait until its thread has noticed. The new owner's thread writes nothing."""
    with first._mutex:  # on a busy machine the thread would write between the other's read and write
        second = abandon(stack, target, take_over=True)
        stack.enter_context(second._mutex)
    assert wait_for(lambda: first._fault is not None), "the thread must notice it"
    return second


@pytest.mark.parametrize("call", ["pace", "renew", "advance", "end"])
def test_a_take_over_during_a_long_step_is_noticed_after_it(
    target: Target, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    monkeypatch.setattr("ops.jobs.RENEW_SECONDS", 0.05)
    with ExitStack() as stack:
        with pytest.raises(JobTakenError), open_job(target, "count", {}, YES) as first:
            first.advance(3, numbers=3)
            second = take_over(stack, target, first)
            state = content(first.key)
            time.sleep(0.06)  # the position and the lock are due
            if call == "advance":
                first.advance(4, numbers=1)
            elif call != "end":
                getattr(first, call)()
        assert content(first.key) == state
        assert [audit["outcome"] for audit in audits()] == ["taken over"]
        second.advance(5, numbers=2)
        assert content(first.key)["counts"] == {"numbers": 5}


@pytest.mark.parametrize("call", ["advance", "confirm"])
def test_a_job_that_was_taken_over_never_takes_its_lock_back(target: Target, call: str) -> None:
    """The command's own thread meets the take-over. The thread that renews the lock may write once more after that."""
    with ExitStack() as stack:
        with pytest.raises(JobTakenError), open_job(target, "count", {}, YES) as first:
            second = abandon(stack, target, take_over=True)
            with pytest.raises(JobTakenError):
                first.advance(1) if call == "advance" else first.confirm()
            with pytest.raises(JobTakenError):
                first._save()  # what the renewing thread does
            raise JobTakenError("as the command does")
        second.advance(2, numbers=2)
        assert content(first.key)["counts"] == {"numbers": 2}


def test_a_job_is_confirmed_at_once(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.jobs.SAVE_SECONDS", 3600.0)
    with open_job(target, "count", {}, YES) as job:
        job.confirm()
        job.confirm()
        assert saves(job) == 3
        job.stop()
        with pytest.raises(JobStoppedError):
            job.confirm()


def test_the_audit_object_has_options_that_make_no_other_job(target: Target) -> None:
    with open_job(target, "count", {"of": "a"}, YES, audited={"fast": True}) as job:
        assert job.id == job_id("count", {"of": "a"})
    assert audits()[0]["arguments"] == {"of": "a", "fast": True}


def test_a_step_that_hangs_loses_the_lock(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.jobs.RENEW_SECONDS", 0.05)
    with open_job(target, "count", {}, YES) as job:
        job.advance(1)
        written = saves(job)
        assert wait_for(lambda: saves(job) > written)
        monkeypatch.setattr("ops.jobs.STEP_SECONDS", 0.0)
        time.sleep(0.2)
        written = saves(job)
        time.sleep(0.3)
        assert saves(job) == written
        monkeypatch.undo()
        job.renew()  # the command goes on after all, and nobody has taken the job


def test_of_two_operators_who_begin_at_once_only_one_gets_the_job(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = "ops.jobs._Store.read"
    with ExitStack() as stack:
        abandon(stack, target)
        # The second operator read the bucket before the first one wrote the state.
        monkeypatch.setattr(read, lambda store: None)
        with pytest.raises(CommandError, match="at the same moment"):
            abandon(stack, target)
        monkeypatch.undo()


def test_a_state_whose_response_was_lost_is_recognised(target: Target) -> None:
    """The client then repeats the request, and S3 refuses it because of the first attempt."""
    with open_job(target, "count", {}, YES) as job:
        s3 = target.client("s3")
        put = s3.put_object

        def put_twice(**parameters: Any) -> Any:
            put(**parameters)
            return put(**parameters)

        s3.put_object = put_twice
        try:
            job.advance(1, numbers=1)
        finally:
            s3.put_object = put
        job.advance(2, numbers=1)
    assert audits()[0]["counts"] == {"numbers": 2}


def test_the_lock_stays_after_a_renewal_whose_response_was_lost(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ops.jobs.RENEW_SECONDS", 0.05)
    with open_job(target, "count", {}, YES) as job:
        s3 = target.client("s3")
        put, lost = s3.put_object, threading.Event()

        def put_and_lose_the_response(**parameters: Any) -> Any:
            response = put(**parameters)
            if lost.is_set():
                return response
            lost.set()
            raise EndpointConnectionError(endpoint_url="https://s3.test")

        s3.put_object = put_and_lose_the_response
        assert wait_for(lambda: lost.is_set() and saves(job) > 3)
        s3.put_object = put
        job.advance(1, numbers=1)
    assert audits()[0]["outcome"] == "done"


def test_a_foreign_object_in_the_place_of_the_state_is_refused(target: Target) -> None:
    target.client("s3").put_object(Bucket="log", Key=state_key("count", {}), Body=b"{}")
    with pytest.raises(CommandError, match="isn't a job's state"), open_job(target, "count", {}, YES):
        pytest.fail("the block must not run")


def test_a_position_is_written_once_a_second_and_at_the_end(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.jobs.SAVE_SECONDS", 3600.0)
    with pytest.raises(CommandError), open_job(target, "count", {}, YES) as job:
        for number in range(100):
            job.advance(number, numbers=1)
        assert content(job.key)["position"] is None
        raise CommandError("broken")
    assert content(job.key)["position"] == 99 and content(job.key)["saves"] == 2


def test_a_job_keeps_its_rate_and_its_lock_while_it_waits(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr("time.sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    with open_job(target, "count", {}, YES._replace(rate=10.0)) as job:
        for _ in range(5):
            job.pace(100)
        assert now[0] == pytest.approx(1040)  # four waits of ten seconds
        assert content(job.key)["saves"] == 1 + 2  # one write after every 15 seconds
    with open_job(target, "count", {}, YES) as job:
        job.pace(10**9)
    assert now[0] == pytest.approx(1040)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_job_between_two_steps(target: Target, number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(JobStoppedError, match="run the same command again"), open_job(target, "count", {}, YES) as job:
        os.kill(os.getpid(), number)
        job.advance(5, numbers=5)
        pytest.fail("the job must end")
    assert signal.getsignal(number) is before
    state = content(job.key)
    assert (state["outcome"], state["position"], audits()[0]["outcome"]) == ("stopped", 5, "stopped")


def test_a_signal_ends_a_job_in_a_step_that_takes_long(target: Target) -> None:
    with pytest.raises(JobStoppedError), open_job(target, "count", {}, YES) as job:
        job.advance(1)
        os.kill(os.getpid(), signal.SIGINT)
        job.renew()
    with open_job(target, "count", {}, YES) as job:
        assert job.position == 1


def test_a_killed_process_loses_no_position(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    program = [sys.executable, "-m", "tests.unit.ops.counting_job"]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'lambda_src'}"}
    with subprocess.Popen(program, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        printed = [int(process.stdout.readline()) for _ in range(3)]
        process.kill()
    assert printed == [1, 2, 3]
    monkeypatch.setattr("ops.jobs.LEASE_SECONDS", -1.0)
    with open_job(target, "count", {}, YES) as job:
        assert job.position >= 3 and job.counts == {"numbers": job.position}


def test_the_options_of_a_job_reach_the_command() -> None:
    @click.command()
    @click.argument("name")
    @job_options(rate=500, unit="items")
    def command(name: str, options: JobOptions) -> None:
        click.echo(f"{name} {options}")

    run = CliRunner().invoke
    assert run(command, ["a"]).output == f"a {JobOptions(rate=500.0)}\n"
    everything = ["a", "--yes", "--rate", "2.5", "--json", "--take-over", "--restart"]
    assert run(command, everything).output == f"a {JobOptions(True, 2.5, True, True, True)}\n"
    assert run(command, ["a", "--rate", "0"]).exit_code == 2
    assert "At most this many items a second." in run(command, ["--help"]).output

    @click.command()
    @job_options(paced=False)
    def unpaced(options: JobOptions) -> None:
        click.echo(options)

    assert run(unpaced, ["--yes"]).output == f"{YES}\n"
    assert run(unpaced, ["--rate", "1"]).exit_code == 2

    @click.command()
    @job_options(restartable=False)
    def idempotent(options: JobOptions) -> None:
        click.echo(options)

    assert run(idempotent, ["--yes"]).output == f"{YES}\n"
    assert run(idempotent, ["--restart"]).exit_code == 2


def test_the_result_is_json_if_asked_also_after_a_failure(target: Target, capsys: pytest.CaptureFixture[str]) -> None:
    options = YES._replace(as_json=True)
    with pytest.raises(CommandError), open_job(target, "count", {}, options) as job:
        job.advance([1, "a"], numbers=1)
        raise CommandError("broken")
    with open_job(target, "count", {}, options) as job:
        job.advance([2, "b"], numbers=1)
    failed, done = map(json.loads, capsys.readouterr().out.splitlines())
    assert (failed["outcome"], failed["position"], failed["counts"]) == ("failed", [1, "a"], {"numbers": 1})
    assert (done["outcome"], done["job"], done["counts"]) == ("done", job.id, {"numbers": 2})


def test_an_error_of_aws_becomes_one_sentence(target: Target) -> None:
    denied: Any = {"Error": {"Code": "AccessDenied", "Message": "User arn:… may not on arn:…"}}
    with pytest.raises(CommandError) as caught, plain_errors():
        raise ClientError(denied, "PutObject")
    assert str(caught.value).startswith("AWS refused PutObject: AccessDenied.") and "arn" not in str(caught.value)
    target.client("s3").delete_bucket(Bucket="log")
    with pytest.raises(CommandError, match="NoSuchBucket"), plain_errors(), open_job(target, "count", {}, YES):
        pytest.fail("the block must not run")
