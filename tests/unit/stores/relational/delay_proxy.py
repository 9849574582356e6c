"""A proxy that adds a delay to each round trip to a server, as a network between two data centers does.

It delays bytes, and lets any number of them be on their way. So it costs a large message no more than a small one.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator


class DelayProxy:
    """Passes the bytes of connections on to a port of this machine, later.

    :param port: the server's port.
    :param seconds: how much longer a round trip takes.
    """

    def __init__(self, port: int, seconds: float) -> None:
        self._target = port
        self._delay = seconds / 2
        self.port = 0

    async def serve(self, ready: threading.Event, stop: asyncio.Event) -> None:
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await stop.wait()
        server.close()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._target)
        await asyncio.gather(
            self._pass(reader, server_writer),
            self._pass(server_reader, writer),
            return_exceptions=True,
        )

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def send() -> None:
            while True:
                at, block = await queue.get()
                if not block:
                    writer.close()
                    return
                await asyncio.sleep(max(0.0, at - time.monotonic()))
                writer.write(block)
                await writer.drain()

        sender = asyncio.create_task(send())
        with contextlib.suppress(ConnectionError):
            while block := await reader.read(262_144):
                queue.put_nowait((time.monotonic() + self._delay, block))
        queue.put_nowait((0.0, b""))
        await sender


@contextlib.contextmanager
def delayed(port: int, seconds: float) -> Iterator[DelayProxy]:
    """Run a :class:`DelayProxy` in a thread."""
    proxy = DelayProxy(port, seconds)
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def run() -> None:
        await proxy.serve(ready, stop)
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    thread = threading.Thread(target=loop.run_until_complete, args=[run()], daemon=True)
    thread.start()
    ready.wait()
    try:
        yield proxy
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(5)
        loop.close()
