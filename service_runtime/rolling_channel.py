"""A channel over TLS that follows its certificate, which grpc reads once for each channel.

Once the files have changed, the next call goes over a new connection with what they hold now. Calls
that run keep the old one, which is closed with the last of them.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import grpc

from service_runtime.settings import SettingsError
from service_runtime.structured_logging import get_logger
from service_runtime.transport import TlsFiles

_log = get_logger(__name__)


class _Line:
    """A connection, and how many calls run on it."""

    def __init__(self, channel: Any) -> None:  # noqa: ANN401 grpc carries no types
        self.channel = channel
        self.callables: dict[tuple[str, str], Callable[..., Any]] = {}
        self.calls = 0


class RollingChannel:
    """Looks like grpc's channel to whoever makes calls.

    Args:
        files: What to watch.
        dial: Makes a channel with what the files hold now; raises SettingsError when they are bad.
    """

    def __init__(self, files: TlsFiles, dial: Callable[[], Any]) -> None:
        self._files = files
        self._dial = dial
        self._state = files.state()
        self._line = _Line(dial())
        self._retired: set[_Line] = set()
        self._closing: set[asyncio.Task[None]] = set()

    def unary_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Return the callable of a unary RPC."""
        return self._callable("unary_unary", method, args, kwargs)

    def stream_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Return the callable of an RPC that takes a stream."""
        return self._callable("stream_unary", method, args, kwargs)

    def unary_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Return the callable of an RPC that answers a stream."""
        return self._callable("unary_stream", method, args, kwargs)

    def stream_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Return the callable of an RPC that does both."""
        return self._callable("stream_stream", method, args, kwargs)

    async def close(self, grace: float | None = None) -> None:
        """Close every connection; running calls get ``grace`` seconds."""
        lines, self._retired = [self._line, *self._retired], set()
        await asyncio.gather(*(line.channel.close(grace) for line in lines), *self._closing)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """Return how the connection in force stands."""
        return self._current().channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Wait until the connection in force stands otherwise."""
        await self._current().channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """Wait until there is a connection."""
        await self._current().channel.channel_ready()

    def _callable(
        self, kind: str, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Callable[..., Any]:
        def start(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 grpc's call object
            line = self._current()
            make = line.callables.get((kind, method))
            if make is None:
                make = getattr(line.channel, kind)(method, *args, **kwargs)
                line.callables[kind, method] = make
            call = make(*arguments, **options)
            line.calls += 1
            call.add_done_callback(lambda _: self._ended(line))
            return call

        return start

    def _current(self) -> _Line:
        state = self._files.state()
        if state and state != self._state:
            self._state = state
            try:
                fresh = _Line(self._dial())
            except SettingsError as error:  # a file is just being replaced, or is bad
                _log.error("transport.certificate_unusable", sentence=str(error))
                return self._line
            old, self._line = self._line, fresh
            self._retired.add(old)
            self._close_if_idle(old)
        return self._line

    def _ended(self, line: _Line) -> None:
        line.calls -= 1
        self._close_if_idle(line)

    def _close_if_idle(self, line: _Line) -> None:
        if line.calls or line not in self._retired:
            return
        self._retired.discard(line)
        task = asyncio.ensure_future(line.channel.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
