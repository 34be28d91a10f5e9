"""A real RTSP server, GStreamer's, that plays reels and does to its clients what cameras do.

A program of its own for the system's Python, where Debian's packages put ``gi``; it knows nothing
of the project. ``gstreamer.py`` starts it, writes one JSON line a wish to its standard input and
reads one answer a line. The first line it prints says where it listens: one port for whoever comes,
one behind digest authentication, since a server with a default token challenges nobody.
"""

import json
import struct
import sys
import threading
import time
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402 - versions come first

_HEAD = struct.Struct("<qqI")
_CHAINS = {
    "h264": (
        "video/x-h264,stream-format=byte-stream,alignment=au",
        "{parse}rtph264pay config-interval=-1 name=pay0 pt=96",
    ),
    "h265": (
        "video/x-h265,stream-format=byte-stream,alignment=au",
        "{parse}rtph265pay config-interval=-1 name=pay0 pt=96",
    ),
    "mjpeg": ("image/jpeg,width={width},height={height}", "rtpjpegpay name=pay0 pt=26"),
}
_PARSERS = {"h264": "h264parse ! ", "h265": "h265parse ! ", "mjpeg": ""}
_YEARS_NS = 10**17
_SINKS = ("appsink", "multiudpsink", "udpsink")
_SOUND = " audiotestsrc is-live=true wave=silence ! alawenc ! rtppcmapay name=pay1 pt=97"


def read_reel(path: str) -> tuple[dict[str, Any], list[tuple[int, int, bytes]]]:
    """Return the head of a reel and its units: when due, the stamp (both in ns), the bytes."""
    with open(path, "rb") as file:  # noqa: PTH123
        head = json.loads(file.readline())
        units = []
        for _ in range(head["units"]):
            due, stamp, length = _HEAD.unpack(file.read(_HEAD.size))
            units.append((due, stamp, file.read(length)))
    return head, units


class Mount:
    """One path; each time that a client comes to an empty one its reel begins anew."""

    def __init__(self, wish: dict[str, Any]) -> None:
        self.head, self.units = read_reel(wish["reel"])
        self.end = wish["end"]
        self.silent = threading.Event()
        self.over = threading.Event()
        self.sent = 0
        codec = self.head["codec"]
        caps, chain = _CHAINS[codec]
        width, height = wish["size"]
        self.launch = (
            "( appsrc name=source is-live=true format=time max-bytes=0 caps="
            f'"{caps.format(width=width, height=height)}" ! '
            f"{chain.format(parse=_PARSERS[codec] if wish['parse'] else '')}"
            f"{_SOUND if wish['sound'] else ''} )"
        )

    def configure(self, _factory: object, media: Any) -> None:
        source = media.get_element().get_by_name("source")
        gone = threading.Event()
        media.connect("prepared", self._send_at_once)
        media.connect("unprepared", lambda _media: gone.set())
        threading.Thread(target=self._feed, args=(source, gone), daemon=True).start()

    def _send_at_once(self, media: Any) -> None:
        """Let packets go out when they are made: stamps may lie years ahead.

        Sinks come with the clients that ask for them.
        """
        bin_ = media.get_stream(0).get_joined_bin()
        bin_.connect("deep-element-added", lambda _bin, _sub, element: _no_waiting(element))
        iterator = bin_.iterate_recurse()
        while (found := iterator.next())[0] == Gst.IteratorResult.OK:
            _no_waiting(found[1])

    def _feed(self, source: Any, gone: threading.Event) -> None:
        began = time.monotonic_ns()
        offset = 0
        while not gone.is_set():
            for due, stamp, data in self.units:
                ahead = (began + offset + due - time.monotonic_ns()) / 1e9
                if (ahead > 0 and gone.wait(ahead)) or self.over.is_set():
                    break
                if self.silent.is_set():
                    continue
                buffer = Gst.Buffer.new_wrapped(data)
                buffer.pts = max(0, offset + stamp)
                if source.emit("push-buffer", buffer) != Gst.FlowReturn.OK:
                    return
                self.sent += 1
            if self.over.is_set() or self.end == "end":
                source.emit("end-of-stream")
                return
            if self.end == "stall":
                return
            offset += self.head["length_ns"]


def _no_waiting(element: Any) -> None:
    if element.get_factory() and element.get_factory().get_name() in _SINKS:
        element.set_property("ts-offset", -_YEARS_NS)  # `sync` is set anew by each PLAY


class Cameras:
    """The two servers and what they play."""

    def __init__(self, user: str, password: str, ports: list[str]) -> None:
        self.mounts: dict[str, Mount] = {}
        self.open, self.guarded = (self._server(port) for port in ports)
        auth = GstRtspServer.RTSPAuth()
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "viewer")
        auth.add_digest(user, password, token)
        self.guarded.set_auth(auth)
        self.ports = [server.attach(None) and server.get_bound_port() for server in self._both()]

    def _both(self) -> tuple[Any, Any]:
        return self.open, self.guarded

    @staticmethod
    def _server(port: str) -> Any:
        server = GstRtspServer.RTSPServer()
        server.set_address("127.0.0.1")
        server.set_service(port)
        return server

    def mount(self, wish: dict[str, Any]) -> dict[str, Any]:
        mount = Mount(wish)
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(mount.launch)
        factory.set_shared(True)
        factory.connect("media-configure", mount.configure)
        if wish["guarded"]:
            structure = Gst.Structure.new_empty("viewer")
            structure.set_value("media.factory.access", True)
            structure.set_value("media.factory.construct", True)
            factory.add_role_from_structure(structure)
        server = self.guarded if wish["guarded"] else self.open
        server.get_mount_points().add_factory(wish["path"], factory)
        self.mounts[wish["path"]] = mount
        return {}

    def silence(self, wish: dict[str, Any]) -> dict[str, Any]:
        self.mounts[wish["path"]].silent.set()
        return {}

    def speak(self, wish: dict[str, Any]) -> dict[str, Any]:
        self.mounts[wish["path"]].silent.clear()
        return {}

    def finish(self, wish: dict[str, Any]) -> dict[str, Any]:
        self.mounts[wish["path"]].over.set()
        return {}

    def begin(self, wish: dict[str, Any]) -> dict[str, Any]:
        self.mounts[wish["path"]].over.clear()
        return {}

    def sent(self, wish: dict[str, Any]) -> dict[str, Any]:
        return {"sent": self.mounts[wish["path"]].sent}

    def hang_up(self, _wish: dict[str, Any]) -> dict[str, Any]:
        """Close every connection."""
        closed: list[object] = []

        def close(_server: object, client: object) -> Any:
            closed.append(client)
            return GstRtspServer.RTSPFilterResult.REMOVE

        for server in self._both():
            server.client_filter(close)
        return {"closed": len(closed)}


def main() -> None:
    """Serve until standard input ends."""
    Gst.init(None)
    cameras = Cameras(sys.argv[1], sys.stdin.readline().strip(), sys.argv[2:4])
    loop = GLib.MainLoop()

    def answer(line: str) -> None:
        wish = json.loads(line)
        try:
            found = getattr(cameras, wish["do"])(wish)
        except Exception as error:  # noqa: BLE001 - whoever asked is told
            found = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(found), flush=True)  # noqa: T201

    def listen() -> None:
        for line in sys.stdin:
            GLib.idle_add(answer, line)
        GLib.idle_add(loop.quit)

    print(json.dumps({"open": cameras.ports[0], "guarded": cameras.ports[1]}), flush=True)  # noqa: T201
    threading.Thread(target=listen, daemon=True).start()
    loop.run()


if __name__ == "__main__":
    main()
