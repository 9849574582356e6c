"""A fake AWS server for the benchmarks. It serves DynamoDB, Firehose, Kinesis, S3 and SSM over TLS, on this machine.

It serves the key set of a Cognito user pool, too.

It also receives the datagrams that are meant for the X-Ray daemon. It runs as a process of its own (``python -m
tests.benchmarks.fake <folder>``) and reads commands from standard input, one JSON object per line.

The server must not be the bottleneck of a benchmark. So it keeps connections open, encodes fixed responses only once,
and stores only the keys and versions of items by default. It responds 403 to an unsigned request, because the
benchmarks include the cost of signing.
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
from readplane.model.change import parse_line
from readplane.stores.items import DynamoItems
from tests.benchmarks.load import (
    BUILDING,
    CHECKPOINTS,
    COLLECTIONS,
    HORIZON_MS,
    KEY_SET_FILE,
    KEY_SET_PATH,
    PARAMETER_FILE,
    TABLE,
    mark,
)
from tests.fakes.dynamodb import MemoryDynamo
from tests.fakes.expressions import Item

CHUNK = 256 * 1024
_EMPTY: Mapping[str, str] = {"S": ""}

Head = dict[bytes, bytes]


class ItemsTable(MemoryDynamo):
    """The items table of the fake AWS server.

    To save memory, the table stores only the key and the version of each item, because conditional writes compare
    nothing else. A benchmark whose clients read the items makes a table that stores whole items.
    """

    def __init__(self, name: str, *, whole: bool) -> None:
        """Make an empty table.

        :param name: the table's name.
        :param whole: whether to store whole items, not only their keys and versions. Clients can read only whole items.
        """
        super().__init__(name)
        self._whole = whole

    def _write(self, pk: str, item: Item) -> None:
        names = ("pk", "version") if not self._whole and "version" in item else item.keys()
        self.items[pk] = {**dict.fromkeys(item, _EMPTY), **{name: item[name] for name in names}}


class Shard:
    """The only shard of the fake Kinesis stream. It holds the records that `apply` must still receive, oldest first."""

    def __init__(self) -> None:
        self._records: deque[dict[str, str]] = deque()
        self._number = 0
        self._lock = threading.Lock()

    def put(self, records: list[dict[str, str]]) -> bytes:
        """Add the records of a PutRecords request to the shard; return the body of the response."""
        with self._lock:
            first = self._number
            self._number += len(records)
            self._records.extend(records)
        outcomes = [{"SequenceNumber": f"{_SEQUENCE + first + n}", "ShardId": _SHARD} for n in range(len(records))]
        return _encoded({"FailedRecordCount": 0, "Records": outcomes})

    def write_event(self, file: Path, limit: int) -> int:
        """Remove the oldest records from the shard and write them to a file, as the event that `apply` would receive.

        If the shard is empty, don't write the file.

        :param limit: the greatest number of records in the event.
        :returns: the number of records in the event.
        """
        with self._lock:
            number = min(limit, len(self._records))
            first = self._number - len(self._records)
            batch = [self._records.popleft() for _ in range(number)]
        if batch:
            records = [event_record(record, first + n) for n, record in enumerate(batch)]
            file.write_bytes(_encoded({"Records": records}))
        return number


_SHARD = "shardId-000000000000"
_SEQUENCE = 49590338271490256608559692538361571095921575989136588898
_STREAM_ARN = "arn:aws:kinesis:eu-central-1:123456789012:stream/demo-changes"


def event_record(record: Mapping[str, str], number: int) -> dict[str, Any]:
    """Return a record of the change stream as an event of `apply` holds it.

    :param record: the ``PartitionKey``, and the ``Data`` in Base64.
    :param number: the record's place in its shard.
    """
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
    """The state of the fake AWS server. The threads of all connections share it."""

    def __init__(self, folder: Path) -> None:
        """Load the fixed items, and empty the tables and the stream.

        :param folder: the folder of the server's files. Its ``items.json`` holds the fixed items, which GetItem returns
            even after a reset. Its folder ``s3`` holds the S3 objects.
        """
        self._folder = folder
        self._lock = threading.Lock()
        items: dict[str, Any] = json.loads((folder / "items.json").read_text())
        self._fixed_items = {key: _encoded({"Item": item}) for key, item in items.items()}
        self.reset(0)

    def reset(self, latency_ms: float, whole: bool = False) -> None:
        """Empty the tables and the stream, and set all counts to 0.

        :param latency_ms: the delay of every later response, in milliseconds.
        :param whole: whether the items table stores whole items, not only their keys and versions.
        """
        self._items = ItemsTable(TABLE, whole=whole)
        self._tables = {
            TABLE: self._items,
            BUILDING: ItemsTable(BUILDING, whole=whole),
            CHECKPOINTS: MemoryDynamo(CHECKPOINTS),
        }
        self.shard = Shard()
        self.counts: Counter[str] = Counter()
        self.record = b""
        self._latency = latency_ms / 1000

    def state(self) -> dict[str, Any]:
        """Return the number of items in the items table, and two checksums of the table.

        The checksum ``sum`` covers each item's key and its whole version. The checksum ``stamps`` covers each item's
        key and only the timestamp in its version.
        """
        versions = {key: item["version"]["S"] for key, item in self._items.items.items() if "version" in item}
        return {
            "items": len(versions),
            "sum": sum(mark(key, version) for key, version in versions.items()),
            "stamps": sum(mark(key, version[:13]) for key, version in versions.items()),
        }

    def store(self, file: Path) -> None:
        """Apply the changes in a file to the items table, without a request.

        :param file: the file, with a line of the write log for each change.
        """
        items = DynamoItems(self._items, TABLE, horizon_ms=HORIZON_MS)
        with file.open("rb") as lines:
            for line in lines:
                items.apply(parse_line(line, COLLECTIONS))

    def write_rows(self, table: str, file: Path) -> None:
        """Write the items of an items table to a file.

        The file holds a JSON object. For each key, it holds the version, and whether the item is deleted.
        """
        items = self._tables[table].items
        rows = {key: (item["version"]["S"], "expires_at" in item) for key, item in items.items() if "version" in item}
        file.write_bytes(_encoded(rows))

    def respond(self, connection: ssl.SSLSocket, method: bytes, path: bytes, head: Head, body: bytes) -> None:
        """Respond to one HTTP request to an AWS service.

        :raises OSError: if the client has closed the connection.
        """
        if path == KEY_SET_PATH.encode():  # Cognito serves its key set to everybody
            connection.sendall(_response(200, (self._folder / KEY_SET_FILE).read_bytes()))
            return
        if not head.get(b"authorization", b"").startswith(b"AWS4-HMAC-SHA256 "):
            connection.sendall(_response(403, b'{"__type":"MissingAuthenticationToken"}'))
            return
        target = head.get(b"x-amz-target", b"")
        operation = target.rpartition(b".")[2].decode() if target else f"S3.{method.decode()}"
        with self._lock:
            self.counts[operation] += 1
        if self._latency:
            time.sleep(self._latency)
        if target:
            status, content = self._dispatch(operation, body)
            connection.sendall(_response(status, content))
        elif method == b"GET":
            self._send_object(connection, path)
        else:
            connection.sendall(_response(200, b""))

    def datagram(self, content: bytes) -> None:
        """Count a datagram for the X-Ray daemon, as ``datagrams`` if its format is valid, else as ``bad datagrams``."""
        header, _, document = content.partition(b"\n")
        good = json.loads(header).get("format") == "json" and "trace_id" in json.loads(document)
        self.counts["datagrams" if good else "bad datagrams"] += 1

    def _dispatch(self, operation: str, body: bytes) -> tuple[int, bytes]:
        if operation == "GetItem":
            parameters = json.loads(body)
            key = parameters["Key"]["pk"]["S"]
            if key in self._fixed_items:
                return 200, self._fixed_items[key]
            return self._call_table(operation, parameters)
        if operation == "GetParameter":
            return 200, _encoded({"Parameter": {"Value": (self._folder / PARAMETER_FILE).read_text()}})
        if operation == "PutRecords":
            return 200, self.shard.put(json.loads(body)["Records"])
        if operation == "PutRecord":
            self.record = body
            return 200, b'{"Encrypted":true,"RecordId":"' + b"r" * 200 + b'"}'
        return self._call_table(operation, json.loads(body))

    def _call_table(self, operation: str, parameters: dict[str, Any]) -> tuple[int, bytes]:
        table = self._tables[_table_of(operation, parameters)]
        try:
            return 200, _encoded(table.call(operation, **parameters))
        except RefusedError as refusal:
            kind = f"com.amazonaws.dynamodb.v20120810#{refusal.code}"
            return refusal.status, _encoded({"__type": kind, **refusal.members})

    def _send_object(self, connection: ssl.SSLSocket, path: bytes) -> None:
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


def _table_of(operation: str, parameters: dict[str, Any]) -> str:
    """Return the name of the table that a call is about."""
    if operation == "BatchExecuteStatement":
        statement: str = parameters["Statements"][0]["Statement"]
        return statement.split('"')[1]
    return str(parameters.get("TableName") or next(iter(parameters["RequestItems"])))


def _encoded(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _response(status: int, content: bytes) -> bytes:
    return (
        b"HTTP/1.1 %d %s\r\nServer: Server\r\nDate: Fri, 21 Nov 2025 08:00:00 GMT\r\n"
        b"Content-Type: application/x-amz-json-1.0\r\nContent-Length: %d\r\nConnection: keep-alive\r\n"
        b"x-amzn-RequestId: 4KBNVRGD25RG1KEO9UT4V3FQDJVV4KQNSO5AEMVJF66Q9ASUAAJG\r\nx-amz-crc32: %d\r\n\r\n%s"
    ) % (status, b"OK" if status == 200 else b"Bad Request", len(content), zlib.crc32(content), content)


def _serve(fake: Fake, plain: socket.socket, context: ssl.SSLContext) -> None:
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        with context.wrap_socket(plain, server_side=True) as connection:
            received = b""
            while True:
                while (end := received.find(b"\r\n\r\n")) < 0:
                    more = connection.recv(CHUNK)
                    if not more:
                        return
                    received += more
                first, *lines = received[:end].split(b"\r\n")
                pairs = (line.partition(b":") for line in lines)
                head = {name.lower(): value.strip() for name, _, value in pairs}
                parts, size = [received[end + 4 :]], int(head.get(b"content-length", 0))
                missing = size - len(parts[0])
                while missing > 0:
                    more = connection.recv(CHUNK)
                    if not more:
                        return
                    parts.append(more)
                    missing -= len(more)
                body = b"".join(parts)
                received = body[size:]
                method, path, _ = first.split(b" ")
                fake.respond(connection, method, path, head, body[:size])
    except OSError:
        return  # the client's process has ended


def _accept(fake: Fake, listener: socket.socket, context: ssl.SSLContext) -> None:
    while True:
        plain, _ = listener.accept()
        threading.Thread(target=_serve, args=(fake, plain, context), daemon=True).start()


def _listen(fake: Fake, daemon: socket.socket) -> None:
    while True:
        fake.datagram(daemon.recv(65536))


def main() -> None:
    """Serve AWS requests, and carry out the commands on standard input until standard input ends."""
    # Disable the garbage collector, because it would scan up to a million items repeatedly during a measurement.
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
        command = json.loads(line)
        if command["do"] == "reset":
            fake.reset(command.get("latency_ms", 0), command.get("whole", False))
        if command["do"] == "store":
            fake.store(Path(command["file"]))
        if command["do"] == "rows":
            fake.write_rows(command["table"], Path(command["file"]))
        if command["do"] == "shard":
            records = fake.shard.write_event(Path(command["file"]), command["limit"])
            print(json.dumps({"records": records}), flush=True)
            continue
        while select.select([daemon], [], [], 0)[0]:
            time.sleep(0.001)  # wait until the thread that runs _listen() has read every datagram
        reply: dict[str, Any] = {"counts": dict(fake.counts), "cpu": time.process_time()}
        if command["do"] == "state":
            reply |= {"state": fake.state(), "record": json.loads(fake.record or b"null")}
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
