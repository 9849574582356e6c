"""A resumable job: a command's position, lock, rate limit, progress and audit line.

A job's state is one JSON object below `config/jobs/` in the write log's bucket of the primary Region. Every write of it
is conditional on the state that the process read before. So the object is also the lock: of two operators who start the
same job, S3 accepts the write of only one.

A process renews its lock with every write. During a long step a thread writes the state again. If the process is
killed, the lock lapses after LEASE_SECONDS, and the next run goes on from the saved position. The steps since the last
write then come again, so every step must be idempotent.

Every run that ends leaves an audit object below `config/audit/`: who ran which command, what it did, and how it ended.
"""

from __future__ import annotations

import functools
import hashlib
import json
import signal
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal, NamedTuple, TypeVar

import click
from botocore.exceptions import BotoCoreError, ClientError

from ops.audit import caller_arn, put_audit
from ops.cli.target import Target
from ops.console import CommandError
from readplane.aws.faults import RefusedError, UnansweredError
from readplane.model.timestamp import rfc3339

JOBS = "config/jobs/"
"""The key prefix of the states of jobs."""

LEASE_SECONDS = 60.0
"""How long a job stays locked after the last write of its state. S3's clock measures this, not the operator's."""

RENEW_SECONDS = 15.0
"""After how many seconds a job writes its state again, while it waits or a step takes long."""

STEP_SECONDS = 20 * 60.0
"""How long a step keeps the lock. An invocation of a function takes up to 15 minutes. A step that takes longer than
this counts as hung, so that another operator can go on with the job."""

SAVE_SECONDS = 1.0
"""The minimum time between two writes of a position."""

SLICE_SECONDS = 0.5
"""How long a job sleeps at a time, because a signal doesn't end `time.sleep`."""

PIPE_SECONDS = 30.0
"""How often progress is shown if the standard error isn't a terminal."""

Outcome = Literal["running", "done", "stopped", "failed"]

_Command = TypeVar("_Command", bound=Callable[..., Any])


class JobStoppedError(CommandError):
    """A signal asked the command to end."""


class JobTakenError(CommandError):
    """Another operator has taken the job over, or S3 refused to write the job's state."""


class JobOptions(NamedTuple):
    """The options that the commands with a job share.

    yes: whether the command may change something; otherwise it only says what it would do
    rate: the maximum number of steps a second; None for no limit
    as_json: whether to print the result as JSON
    take_over: whether to take a job from another operator whose lock hasn't lapsed
    restart: whether to forget the saved position of an unfinished job, or that the job is done
    """

    yes: bool = False
    rate: float | None = None
    as_json: bool = False
    take_over: bool = False
    restart: bool = False


class JobState(NamedTuple):
    """A job's state, as its object in S3 holds it.

    command: the command's name
    arguments: the arguments that make this job another one than the next
    position: the command's own continuation token, as JSON; None at the beginning
    counts: what all runs of the job did so far, by name
    operator: the ARN of the operator of the last run
    run: the id of the process that holds the lock; None if no process does
    run_at: when the last run began, RFC 3339 in UTC
    started_at: when the job's first run began, RFC 3339 in UTC
    saves: how often this run has written the state
    outcome: how the job ended; `running` as long as a process holds the lock, or if it was killed
    """

    command: str
    arguments: Mapping[str, Any]
    position: Any
    counts: Mapping[str, int]
    operator: str
    run: str | None
    run_at: str
    started_at: str
    saves: int
    outcome: Outcome


def job_options(
    *, rate: float | None = None, unit: str = "steps", paced: bool = True, restartable: bool = True
) -> Callable[[_Command], _Command]:
    """Return a decorator that adds the options of a job to a command, which gets them as the argument `options`.

    :param rate: the value of --rate if the command line has none; None for no limit
    :param unit: what --rate counts, for the text of --help
    :param paced: whether the command has the option --rate
    :param restartable: whether the command has the option --restart
    """

    def decorate(command: _Command) -> _Command:
        @functools.wraps(command)
        def wrapper(*arguments: Any, **fields: Any) -> Any:
            options = JobOptions(**{name: fields.pop(name) for name in JobOptions._fields if name in fields})
            return command(*arguments, options=options, **fields)

        positive, limit = click.FloatRange(0, min_open=True), f"At most this many {unit} a second."
        decorated: Any = wrapper
        pace = click.option("--rate", type=positive, default=rate, show_default=True, help=limit)
        restart = "Begin anew, even if an unfinished job has a saved position."
        for option in (
            *([click.option("--restart", is_flag=True, help=restart)] if restartable else []),
            click.option("--take-over", is_flag=True, help="Go on with a job that another operator runs, and stop it."),
            click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object."),
            *([pace] if paced else []),
            click.option("--yes", is_flag=True, help="Do it. Without this, only say what would be done."),
        ):
            decorated = option(decorated)
        result: _Command = decorated
        return result

    return decorate


def print_plan(command: str, **plan: Any) -> None:
    """Print what a command would do with --yes, as one JSON object."""
    click.echo(json.dumps({"command": command, "outcome": "planned", **plan}))


def show_plan(command: str, steps: Sequence[str], options: JobOptions) -> None:
    """Print what a command would do with --yes.

    :param steps: a sentence for each step
    """
    if options.as_json:
        print_plan(command, steps=list(steps))
        return
    for step in steps:
        click.echo(step)
    click.echo("Repeat the command with --yes.")


def show_nothing_to_do(command: str, reason: str, options: JobOptions) -> None:
    """Print that a command has nothing to do, and why."""
    if options.as_json:
        click.echo(json.dumps({"command": command, "outcome": "done", "counts": {}}))
    else:
        click.echo(f"Nothing to do: {reason}.")


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn an error of AWS inside a `with` block into a CommandError, which quotes neither data nor URLs."""
    try:
        yield
    except (ClientError, RefusedError) as error:
        text = refusal_of(error)
        denied = "Denied" in text or ": 403." in text  # S3 answers HeadObject and HeadBucket with the status alone
        advice = "Does this operator have the permission (docs/operate.md)?" if denied else "Try again."
        raise CommandError(f"{text} {advice}") from error
    except (BotoCoreError, UnansweredError) as error:
        kind = error.code if isinstance(error, UnansweredError) else type(error).__name__
        raise CommandError(f"AWS can't be called ({kind}). Check the credentials and the connection.") from error


def refusal_of(error: ClientError | RefusedError) -> str:
    """Return a sentence about a call that AWS refused. It doesn't quote AWS's text, which may hold data."""
    if isinstance(error, RefusedError):
        return f"AWS refused a call: {error.code}."
    return f"AWS refused {error.operation_name}: {error.response['Error']['Code']}."


class _Store:
    """Reads and writes the state of one job in S3."""

    def __init__(self, target: Target, key: str) -> None:
        self._s3 = target.client("s3")
        self._bucket = target.regional(False).log_bucket
        self._key = key
        self._etag: str | None = None

    def read(self) -> tuple[JobState, float] | None:
        """Return the state and its age in seconds. None if there is no state."""
        try:
            response = self._s3.get_object(Bucket=self._bucket, Key=self._key)
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchKey":
                raise
            self._etag = None
            return None
        self._etag = response["ETag"]
        try:
            state = JobState(**json.loads(response["Body"].read()))
        except (ValueError, TypeError) as error:
            raise CommandError(
                f"{self._key} in {self._bucket} isn't a job's state that this release can read. Delete that object."
            ) from error
        return state, age_of(response)

    def write(self, state: JobState) -> None:
        """Write the state, if nobody has written it since this object read or wrote it.

        :raises JobTakenError: if somebody has
        """
        condition = {"IfMatch": self._etag} if self._etag else {"IfNoneMatch": "*"}
        body = json.dumps(state._asdict()).encode()
        try:
            response = self._s3.put_object(
                Bucket=self._bucket, Key=self._key, Body=body, ContentType="application/json", **condition
            )
            self._etag = response["ETag"]
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"):
                raise
            # If the response to a write was lost, S3 has a state of this run that the process doesn't know about. If it
            # is another one than this state, write again, because only this process writes states of its run.
            stored = self.read()
            if stored is None or stored[0].run != state.run:
                raise JobTakenError(
                    "Another operator has taken this job over. This process has stopped; the other one goes on."
                ) from error
            if stored[0].saves != state.saves:
                self.write(state)


def age_of(response: Mapping[str, Any]) -> float:
    """Return the age in seconds of the object in a response of GetObject.

    Both times are S3's, so a wrong clock on the operator's machine doesn't shorten another operator's lock.
    """
    date = response["ResponseMetadata"]["HTTPHeaders"].get("date")
    now = parsedate_to_datetime(date) if date else datetime.now(UTC)
    age: float = (now - response["LastModified"]).total_seconds()
    return age


class Job:
    """A run of a job, which holds the job's lock. Get one from :func:`open_job`.

    id: a hash of the command and its arguments
    key: the key of the job's state in S3
    """

    def __init__(
        self,
        target: Target,
        store: _Store,
        state: JobState,
        options: JobOptions,
        audited: Mapping[str, Any] | None = None,
    ) -> None:
        self.id = job_id(state.command, state.arguments)
        self.key = state_key(state.command, state.arguments)
        self._target = target
        self._store = store
        self._state = state
        self._options = options
        self._audited = audited or {}
        self._counts = Counter(state.counts)
        self._saved_at = time.monotonic()
        self._shown_at = self._saved_at
        self._due = self._saved_at
        self._stopping = False
        self._result: dict[str, Any] = {}
        # Two threads write the state: that of the command, and the one that renews the lock.
        self._mutex = threading.RLock()
        self._active_at = self._saved_at
        self._fault: CommandError | None = None
        self._ended = threading.Event()

    def keep_lock(self) -> None:
        """Start a thread that renews the lock until the job ends, but not for longer than STEP_SECONDS in one step."""
        threading.Thread(target=self._renew_until_ended, name="lock of a job", daemon=True).start()

    def release_lock(self) -> None:
        """Stop the thread that renews the lock. Wait until it has ended its last write."""
        with self._mutex:
            self._ended.set()

    @property
    def position(self) -> Any:
        """The last position that :meth:`advance` got, perhaps from an earlier run. None at the job's beginning."""
        return self._state.position

    @property
    def counts(self) -> Counter[str]:
        """What all runs of this job did so far, by name."""
        return self._counts

    @property
    def operator(self) -> str:
        """The ARN of the operator, from STS."""
        return self._state.operator

    @property
    def started_ms(self) -> int:
        """When the job's first run began, in Unix milliseconds. A run that goes on has the same time."""
        return int(datetime.fromisoformat(self._state.started_at).timestamp() * 1000)

    def advance(self, position: Any, **counts: int) -> None:
        """Say that the job is done up to a position, and what was done. Call this after each step.

        The state is written at most once in SAVE_SECONDS.

        :param position: the command's own continuation token, as JSON
        :param counts: numbers to add to the job's counts
        :raises JobStoppedError: if a signal asked the command to end; the position is kept
        :raises JobTakenError: if another operator has taken the job over
        """
        with self._mutex:
            self._state = self._state._replace(position=position)
            self._counts.update(counts)
        self._save_after(SAVE_SECONDS)
        self._check()

    def pace(self, steps: int = 1) -> None:
        """Wait until these steps may begin, so that no more are done in a second than --rate allows.

        :raises JobStoppedError: if a signal asked the command to end
        """
        if self._options.rate is not None:
            self.wait(self._due - time.monotonic())
            self._due = max(self._due, time.monotonic()) + steps / self._options.rate
        self._check()

    def wait(self, seconds: float) -> None:
        """Sleep, and keep the job's lock meanwhile.

        :raises JobStoppedError: if a signal asked the command to end
        """
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._check()
            time.sleep(min(left, SLICE_SECONDS))
            self.renew()
        self._check()

    def renew(self) -> None:
        """Say that the job goes on. Call this during a step that may take longer than STEP_SECONDS.

        :raises JobStoppedError: if a signal asked the command to end; the step comes again in the next run
        :raises JobTakenError: if another operator has taken the job over
        """
        self._save_after(RENEW_SECONDS)
        self._check()

    def confirm(self) -> None:
        """Write the state now, to be sure that this process holds the lock. Call this before a step with no way back.

        :raises JobStoppedError: if a signal asked the command to end
        :raises JobTakenError: if another operator has taken the job over
        """
        self._save()
        self._check()

    def say(self, text: str) -> None:
        """Print a line about the job's progress to the standard error."""
        click.echo(f"{self._state.command}: {text}", err=True)

    def add_to_result(self, **fields: Any) -> None:
        """Add members to the JSON that :meth:`report` prints."""
        self._result |= fields

    def stop(self) -> None:
        """Have the job end at the next call that may raise :class:`JobStoppedError`."""
        self._stopping = True

    def end(self, outcome: Outcome) -> None:
        """Write the last state, release the lock, and write the audit object."""
        self.release_lock()
        self._state = self._state._replace(outcome=outcome, position=None if outcome == "done" else self.position)
        # Keep `run` in the state that is written, because :meth:`_Store.write` recognises its own write by it. A state
        # with another outcome than `running` is not locked.
        self._save()
        self.put_audit(outcome)

    def put_audit(self, outcome: Outcome | Literal["taken over"]) -> None:
        """Write the audit object of this run."""
        state = self._state
        put_audit(
            self._target,
            state.command,
            self.id,
            arguments={**state.arguments, **self._audited},
            operator=state.operator,
            outcome=outcome,
            counts=dict(self._counts),
            run_at=state.run_at,
            started_at=state.started_at,
        )

    def report(self) -> None:
        """Print the job's result."""
        if self._options.as_json:
            click.echo(
                json.dumps(
                    {
                        "command": self._state.command,
                        "job": self.id,
                        "outcome": self._state.outcome,
                        "counts": dict(self._counts),
                        "position": self.position,
                        "started_at": self._state.started_at,
                        **self._result,
                    }
                )
            )
        elif self._state.outcome == "done":
            click.echo(f"{self._state.command}: done. {self._describe()}.")

    def _renew_until_ended(self) -> None:
        while not self._ended.wait(RENEW_SECONDS):
            with self._mutex:
                if self._ended.is_set() or time.monotonic() - self._active_at >= STEP_SECONDS:
                    continue
                try:
                    self._save()
                except CommandError:
                    return  # the job's next call raises it again
                except (ClientError, BotoCoreError):
                    continue  # the next attempt may succeed before the lock lapses

    def _check(self) -> None:
        self._active_at = time.monotonic()
        if self._fault:
            raise self._fault
        if self._stopping:
            raise JobStoppedError("Stopped. The position is saved: run the same command again to go on.")

    def _describe(self) -> str:
        return ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in self._counts.items()) or "nothing to do"

    def _save_after(self, seconds: float) -> None:
        self._active_at = now = time.monotonic()
        if now - self._saved_at >= seconds:
            self._save()
            interval = SAVE_SECONDS if sys.stderr.isatty() else PIPE_SECONDS
            if now - self._shown_at >= interval:
                self._shown_at = now
                self.say(f"{self._describe()} …")

    def _save(self) -> None:
        with self._mutex:
            if self._fault:  # `_store` has read the new owner's ETag, so S3 would accept this write
                raise self._fault
            self._state = self._state._replace(counts=dict(self._counts), saves=self._state.saves + 1)
            try:
                self._store.write(self._state)
            except CommandError as error:
                self._fault = error
                raise
            self._saved_at = time.monotonic()


@contextmanager
def open_job(
    target: Target,
    command: str,
    arguments: Mapping[str, Any],
    options: JobOptions,
    *,
    repeatable: bool = True,
    audited: Mapping[str, Any] | None = None,
) -> Iterator[Job]:
    """Lock a job, go on from its saved position, and write its end when the `with` block ends.

    The block ends the job as done. If the block raises an error, or a signal ends it, the position stays for the next
    run. SIGINT and SIGTERM end the block between two steps. A second SIGINT ends it at once.

    :param command: the command's name, such as `replay`
    :param arguments: what makes this job another one than the next, as JSON; pass a hash of anything that is private
    :param repeatable: whether a job that is done begins anew if it is run again; otherwise that needs --restart
    :param audited: more options for the audit object, which don't make this job another one
    :raises CommandError: if another operator runs the job, or the job is done and not repeatable
    """
    job = _lock(target, command, arguments, options, repeatable=repeatable, audited=audited)
    job.keep_lock()
    try:
        with _signals(job):
            try:
                yield job
            except JobTakenError:
                raise
            except BaseException as error:
                stopped = isinstance(error, JobStoppedError | KeyboardInterrupt)
                try:
                    job.end("stopped" if stopped else "failed")
                except (CommandError, ClientError, BotoCoreError) as failure:
                    job.say(f"The state couldn't be written ({type(failure).__name__}). The lock lapses by itself.")
                if options.as_json:
                    job.report()
                raise
        job.end("done")
    except JobTakenError:
        job.release_lock()
        job.put_audit("taken over")
        raise
    job.report()


def unfinished_job(target: Target, command: str, arguments: Mapping[str, Any]) -> JobState | None:
    """Return the state of a job that was begun and isn't done. None if there is none."""
    stored = _Store(target, state_key(command, arguments)).read()
    return None if stored is None or stored[0].outcome == "done" else stored[0]


def job_states(target: Target, command: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the keys and the states of all jobs of a command, with their `age` in seconds."""
    s3, bucket = target.client("s3"), target.regional(replica=False).log_bucket
    prefix = f"{JOBS}{_file_name(command)}-"
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for entry in page.get("Contents", []):
            try:
                response = s3.get_object(Bucket=bucket, Key=entry["Key"])
            except ClientError as error:
                if error.response["Error"]["Code"] == "NoSuchKey":
                    continue
                raise
            yield entry["Key"], {**json.loads(response["Body"].read()), "age": age_of(response)}


def job_id(command: str, arguments: Mapping[str, Any]) -> str:
    """Return the id of a job: a hash of its command and arguments."""
    text = json.dumps([command, arguments], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def state_key(command: str, arguments: Mapping[str, Any]) -> str:
    """Return the S3 key of a job's state."""
    return f"{JOBS}{_file_name(command)}-{job_id(command, arguments)}.json"


def _file_name(command: str) -> str:
    return command.replace(" ", "-")


def _lock(
    target: Target,
    command: str,
    arguments: Mapping[str, Any],
    options: JobOptions,
    *,
    repeatable: bool,
    audited: Mapping[str, Any] | None,
) -> Job:
    store = _Store(target, state_key(command, arguments))
    stored = store.read()
    now = rfc3339(int(time.time() * 1000))
    operator = caller_arn(target)
    run = uuid.uuid4().hex
    state = JobState(command, dict(arguments), None, {}, operator, run, now, now, 1, "running")
    if stored is not None:
        before, age = stored
        if before.outcome == "running" and age < LEASE_SECONDS and not options.take_over:
            raise CommandError(
                f"{before.operator} runs this job since {before.run_at}. Wait until it has ended, or take it over "
                f"with --take-over. If that process is dead, the lock lapses {LEASE_SECONDS:.0f} s after its last step."
            )
        if before.outcome == "done" and not repeatable and not options.restart:
            raise CommandError(f"This job is done ({before.operator}, begun {before.started_at}). Repeat: --restart.")
        if before.outcome != "done" and not options.restart:
            state = state._replace(position=before.position, counts=before.counts, started_at=before.started_at)
    try:
        store.write(state)
    except JobTakenError as error:
        raise CommandError("Another operator has begun this job at the same moment. Nothing was changed.") from error
    job = Job(target, store, state, options, audited)
    if state.started_at != now:
        job.say(f"goes on with the job of {state.started_at}.")
    return job


@contextmanager
def _signals(job: Job) -> Iterator[None]:
    """Have SIGINT and SIGTERM stop a job between two steps. A second signal has its usual effect, which is at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in former.items():
            signal.signal(number, handler)

    def stop(_number: int, _frame: object) -> None:
        job.stop()
        restore()

    for number in former:
        signal.signal(number, stop)
    try:
        yield
    finally:
        restore()
