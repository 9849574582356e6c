"""The AWS that every subject talks to: DynamoDB, Firehose, Kinesis, S3, the X-Ray daemon; over TLS, on this machine.

A process of its own (``python -m tests.benchmarks.fake <folder>``), told what to do by lines of JSON on standard input.
It must not be what limits a subject: connections stay open, fixed answers are encoded once, and the table keeps
versions only. An answer to a request that isn't signed is 403, so that nobody gets away without signing.
"""

import gc
import json
import select
import socket
import ssl
import sys
import threading
import time
import zlib
from collections import Counter, deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from readplane.aws.faults import RefusedError
from tests.benchmarks.load import CHECKPOINTS, TABLE, mark
from tests.fakes.dynamodb import FakeDynamo
from tests.fakes.table import FakeTable

CHUNK = 256 * 1024
_EMPTY: Mapping[str, str] = {"S": ""}

Head = dict[bytes, bytes]


class Table(FakeDynamo):
    """The items. Unless they are kept ``whole``, it keeps of each no more than it needs to judge the next write."""

    def __init__(self, whole: bool) -> None:
        super().__init__(TABLE)
        self._whole = whole

    def _write(self, pk: str, item: Mapping[str, Mapping[str, str]]) -> None:
        kept = ("pk", "version") if not self._whole and "version" in item else item.keys()
        self.items[pk] = {**dict.fromkeys(item, _EMPTY), **{name: item[name] for name in kept}}


class Shard:
    """The change stream: what PutRecords put there and no function has been given yet, in its order."""

    def __init__(self) -> None:
        self._records: deque[dict[str, str]] = deque()
        self._number = 0
        self._lock = threading.Lock()

    def put(self, records: list[dict[str, str]]) -> bytes:
        """Take records; the answer of PutRecords."""
        with self._lock:
            first = self._number
            self._number += len(records)
            self._records.extend(records)
        told = [{"SequenceNumber": f"{_SEQUENCE + first + n}", "ShardId": _SHARD} for n in range(len(records))]
        return _encoded({"FailedRecordCount": 0, "Records": told})

    def write_event(self, file: Path, limit: int) -> int:
        """Write the event by which Lambda hands on the next records, ``limit`` at most; how many they are."""
        with self._lock:
            number = min(limit, len(self._records))
            first = self._number - len(self._records)
            taken = [self._records.popleft() for _ in range(number)]
        if taken:
            file.write_bytes(_encoded({"Records": [_handed(record, first + n) for n, record in enumerate(taken)]}))
        return number


_SHARD = "shardId-000000000000"
_SEQUENCE = 49590338271490256608559692538361571095921575989136588898
_STREAM_ARN = "arn:aws:kinesis:eu-central-1:123456789012:stream/demo-changes"


def _handed(record: Mapping[str, str], number: int) -> dict[str, Any]:
    sequence = f"{_SEQUENCE + number}"
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": record["PartitionKey"],
            "sequenceNumber": sequence,
            "data": record["Data"],
            "approximateArrivalTimestamp": round(time.time(), 3),
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"{_SHARD}:{sequence}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": "arn:aws:iam::123456789012:role/demo-apply",
        "awsRegion": "eu-central-1",
        "eventSourceARN": _STREAM_ARN,
    }


class Fake:
    """The state behind the connections; ``folder`` holds the certificate, ``items.json`` and the objects of ``s3/``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        items: dict[str, Any] = json.loads((folder / "items.json").read_text())
        self._ready = {key: _encoded({"Item": item}) for key, item in items.items()}
        self.reset(0)

    def reset(self, latency_ms: float, whole: bool = False) -> None:
        """Empty the tables, the stream and the counts; answer later by this much from now on."""
        self._table = Table(whole)
        self._checkpoints = FakeTable(CHECKPOINTS)
        self.shard = Shard()
        self.counts: Counter[str] = Counter()
        self.record = b""
        self._latency = latency_ms / 1000

    def state(self) -> dict[str, Any]:
        """How many items there are, and sums over all of them: ``sum`` any other version would change, ``stamps`` any
        version of another time."""
        versions = {key: item["version"]["S"] for key, item in self._table.items.items() if "version" in item}
        return {
            "items": len(versions),
            "sum": sum(mark(key, version) for key, version in versions.items()),
            "stamps": sum(mark(key, version[:13]) for key, version in versions.items()),
        }

    def answer(self, connection: ssl.SSLSocket, method: bytes, path: bytes, head: Head, body: bytes) -> None:
        """Answer one request.

        :raises OSError: when the client has gone.
        """
        if not head.get(b"authorization", b"").startswith(b"AWS4-HMAC-SHA256 "):
            connection.sendall(_answer(403, b'{"__type":"MissingAuthenticationToken"}'))
            return
        target = head.get(b"x-amz-target", b"")
        operation = target.rpartition(b".")[2].decode() if target else f"S3.{method.decode()}"
        with self._lock:
            self.counts[operation] += 1
        if self._latency:
            time.sleep(self._latency)
        if target:
            status, content = self._dispatch(operation, body)
            connection.sendall(_answer(status, content))
        elif method == b"GET":
            self._object(connection, path)
        else:
            connection.sendall(_answer(200, b""))

    def datagram(self, content: bytes) -> None:
        """Count what reaches the X-Ray daemon, if it is in its format."""
        header, _, document = content.partition(b"\n")
        good = json.loads(header).get("format") == "json" and "trace_id" in json.loads(document)
        self.counts["datagrams" if good else "bad datagrams"] += 1

    def _dispatch(self, operation: str, body: bytes) -> tuple[int, bytes]:
        if operation == "GetItem":
            asked = json.loads(body)
            key = asked["Key"]["pk"]["S"]
            if key in self._ready:
                return 200, self._ready[key]
            return self._called(operation, asked)
        if operation == "PutRecords":
            return 200, self.shard.put(json.loads(body)["Records"])
        if operation == "PutRecord":
            self.record = body
            return 200, b'{"Encrypted":true,"RecordId":"' + b"r" * 200 + b'"}'
        return self._called(operation, json.loads(body))

    def _called(self, operation: str, asked: dict[str, Any]) -> tuple[int, bytes]:
        try:
            if CHECKPOINTS in (asked.get("TableName"), *asked.get("RequestItems", ())):
                with self._lock:  # its table is no more than a dictionary
                    return 200, _encoded(self._checkpoints.call(operation, **asked))
            return 200, _encoded(self._table.call(operation, **asked))
        except RefusedError as refusal:
            kind = f"com.amazonaws.dynamodb.v20120810#{refusal.code}"
            return refusal.status, _encoded({"__type": kind, **refusal.answer})

    def _object(self, connection: ssl.SSLSocket, path: bytes) -> None:
        name = path.partition(b"?")[0].decode().rpartition("/")[2]
        file = self._folder / "s3" / name
        size = file.stat().st_size
        kind = b"application/json" if name.endswith(".json") else b"application/octet-stream"
        connection.sendall(
            b'HTTP/1.1 200 OK\r\nETag: "6805f2cfc46c0f04559748bb039d69ae"\r\nx-amz-request-id: 4442587FB7D0A2F9\r\n'
            b"Last-Modified: Fri, 21 Nov 2025 08:00:00 GMT\r\nAccept-Ranges: bytes\r\nContent-Type: %s\r\n"
            b"Content-Length: %d\r\n\r\n" % (kind, size)
        )
        with file.open("rb") as content:
            while chunk := content.read(CHUNK):
                connection.sendall(chunk)


def _encoded(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _answer(status: int, content: bytes) -> bytes:
    return (
        b"HTTP/1.1 %d %s\r\nServer: Server\r\nDate: Fri, 21 Nov 2025 08:00:00 GMT\r\n"
        b"Content-Type: application/x-amz-json-1.0\r\nContent-Length: %d\r\nConnection: keep-alive\r\n"
        b"x-amzn-RequestId: 4KBNVRGD25RG1KEO9UT4V3FQDJVV4KQNSO5AEMVJF66Q9ASUAAJG\r\nx-amz-crc32: %d\r\n\r\n%s"
    ) % (status, b"OK" if status == 200 else b"Bad Request", len(content), zlib.crc32(content), content)


def _serve(fake: Fake, plain: socket.socket, context: ssl.SSLContext) -> None:
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        with context.wrap_socket(plain, server_side=True) as connection:
            got = b""
            while True:
                while (end := got.find(b"\r\n\r\n")) < 0:
                    more = connection.recv(CHUNK)
                    if not more:
                        return
                    got += more
                first, *lines = got[:end].split(b"\r\n")
                pairs = (line.partition(b":") for line in lines)
                head = {name.lower(): value.strip() for name, _, value in pairs}
                parts, size = [got[end + 4 :]], int(head.get(b"content-length", 0))
                missing = size - len(parts[0])
                while missing > 0:
                    more = connection.recv(CHUNK)
                    if not more:
                        return
                    parts.append(more)
                    missing -= len(more)
                body = b"".join(parts)
                got = body[size:]
                method, path, _ = first.split(b" ")
                fake.answer(connection, method, path, head, body[:size])
    except OSError:
        return  # the subject's process has ended


def _accept(fake: Fake, listener: socket.socket, context: ssl.SSLContext) -> None:
    while True:
        plain, _ = listener.accept()
        threading.Thread(target=_serve, args=(fake, plain, context), daemon=True).start()


def _listen(fake: Fake, daemon: socket.socket) -> None:
    while True:
        fake.datagram(daemon.recv(65536))


def main() -> None:
    # A million items would be walked again and again, in the subject's time.
    gc.disable()
    folder = Path(sys.argv[1])
    fake = Fake(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    daemon = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    daemon.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
    daemon.bind(("127.0.0.1", 0))
    for target, arguments in ((_accept, (fake, listener, context)), (_listen, (fake, daemon))):
        threading.Thread(target=target, args=arguments, daemon=True).start()
    print(json.dumps({"port": listener.getsockname()[1], "daemon": daemon.getsockname()[1]}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        if asked["do"] == "reset":
            fake.reset(asked.get("latency_ms", 0), asked.get("whole", False))
        if asked["do"] == "shard":
            print(json.dumps({"records": fake.shard.write_event(Path(asked["file"]), asked["limit"])}), flush=True)
            continue
        while select.select([daemon], [], [], 0)[0]:
            time.sleep(0.001)  # what has been sent counts, even where the machine is too busy to have counted it
        told: dict[str, Any] = {"counts": dict(fake.counts), "cpu": time.process_time()}
        if asked["do"] == "state":
            told |= {"state": fake.state(), "record": json.loads(fake.record or b"null")}
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
