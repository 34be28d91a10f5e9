"""``python -m tests.faults.rest_edge_callers HOST PORT``: honest callers with a clock.

They alone are in this process, so what they wait is what the edge and the service let them wait.
Each has a connection of its own and asks for a camera at moments that were fixed before: an answer
counts from the moment at which it was to be asked for, not from when the caller got round to it, so
a stall of the service shows in every request that it held up. They ask for far less than the
service can do, or they would wait for each other.

One JSON object on stdin says who they are: ``token`` and ``camera``. They print a line that they
are ready when the first of them is answered, and ask until stdin ends; then they print one list of
``[moment_s, took_s, status]``, moments by the monotonic clock that all processes of a machine
share; status 0 is no answer, or an answer about another camera.
"""

import asyncio
import json
import sys
import time

from tests.support.raw_http import RawAnswer, read_answer

CALLERS = 4
EVERY_S = 0.05
_ANSWERED_WITHIN_S = 10.0


class Caller:
    """Asks at its moments; ``answers`` grows."""

    def __init__(self, where: tuple[str, int], camera: str, token: str) -> None:
        self.answers: list[tuple[float, float, int]] = []
        self.answered = asyncio.Event()
        self._where = where
        self._camera = camera
        self._request = (
            f"GET /cameras/{camera} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n"
        ).encode()
        self._connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask_from(self, first_s: float) -> None:
        """Ask from a moment on, until cancelled."""
        due_s = first_s
        while True:
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            status = await self._status()
            self.answers.append((due_s, time.monotonic() - due_s, status))
            self.answered.set()
            due_s += EVERY_S

    async def _status(self) -> int:
        try:
            async with asyncio.timeout(_ANSWERED_WITHIN_S):
                answer = await self._ask()
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            self._hang_up()
            return 0
        if "connection: close" in answer.head.lower():
            self._hang_up()
        right = answer.status != 200 or answer.json()["data"]["id"] == self._camera
        return answer.status if right else 0

    async def _ask(self) -> RawAnswer:
        if self._connection is None:
            self._connection = await asyncio.open_connection(*self._where)
        reader, writer = self._connection
        writer.write(self._request)
        return await read_answer(reader)

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection[1].transport.abort()
        self._connection = None


async def main(host: str, port: int) -> list[tuple[float, float, int]]:
    """Ask until stdin ends; return all answers."""
    stdin = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin
    )
    told = json.loads(await stdin.readline())
    callers = [Caller((host, port), told["camera"], told["token"]) for _ in range(CALLERS)]
    first_s = time.monotonic()
    asking = [
        # one after the other, never all at once
        asyncio.create_task(caller.ask_from(first_s + number * EVERY_S / CALLERS))
        for number, caller in enumerate(callers)
    ]
    ended = asyncio.create_task(_ended(callers[0], stdin))
    await asyncio.wait([ended, *asking], return_when=asyncio.FIRST_COMPLETED)
    for task in asking:
        if task.done():
            task.result()  # raises what ended it: a caller never ends by itself
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    return [answer for caller in callers for answer in caller.answers]


async def _ended(first: Caller, stdin: asyncio.StreamReader) -> None:
    await first.answered.wait()
    sys.stdout.write('{"ready": true}\n')
    sys.stdout.flush()
    await stdin.read()


if __name__ == "__main__":
    json.dump(asyncio.run(main(sys.argv[1], int(sys.argv[2]))), sys.stdout)
