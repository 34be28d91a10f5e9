"""Reads one camera without decoding it: packets become chunks, which are decoded with others'.

Beside `reader.py`, which decodes with libav, for a worker whose models run on a GPU. The frames of
a chunk come out together, a chunk's length later than they came in; each keeps the time at which it
arrived. What chunks are no good for, key frames too far apart or a codec that the batch decoder has
not, is read by libav after all, and its pictures are prepared in the same batch
(`persistent_frames.py`); the log says so.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import av
from av.packet import Packet
from av.video.stream import VideoStream

from service_runtime.structured_logging import get_logger
from vision_worker.decode.batches.batch import DecoderName, WantedFrames
from vision_worker.decode.batches.batch_thread import (
    BatchFailed,
    BatchThread,
    BatchWork,
    Made,
    MadePicture,
    Outcome,
)
from vision_worker.decode.batches.chunk_check import ChunkCheck
from vision_worker.decode.batches.chunks import (
    LONGEST_CHUNK_S,
    Arrival,
    ChunkCollector,
    ChunksTooLong,
    UnusableChunk,
    own_packets,
    pack_chunk,
    seconds,
    shown,
)
from vision_worker.decode.batches.persistent_frames import FramesAfter, PersistentFrames
from vision_worker.decode.frame import DecodeCounts, Frame
from vision_worker.decode.newest_frames import FrameSink, NewestFrames
from vision_worker.decode.reader import BLIND_AFTER_S, DecodeSettings, FrameReader, video_stream
from vision_worker.decode.sample_rate import SampleRate
from vision_worker.decode.sampling import MediaTimeline, TimeSampler
from vision_worker.decode.step_clock import StepClock
from vision_worker.decode.thread_clock import ThreadClock
from vision_worker.sources.failure import SourceFailure, failure_at_reading
from vision_worker.sources.opening import OpenedSource, Source

_log = get_logger(__name__)

_USUAL_FRAME_S = 1 / 25
_NO_PICTURE_S = 10.0 + LONGEST_CHUNK_S
_UNUSABLE_IN_A_ROW = 3
_LAST_CHUNK_S = 10.0
_CODECS = {
    "dali-nvdec": frozenset({"h264", "hevc"}),
    "dali-cpu": frozenset({"vp8", "vp9", "mjpeg"}),
}


class _NotForChunks(Exception):
    """This stream is to be read by libav; the sentence says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Due:
    """A frame that is being decoded."""

    at: datetime
    media_s: float
    index: int
    cut: bool


class ChunkReader:
    """Reads one source once, from its opening to its end or failure.

    Args:
        batches: decodes.
        unfit_for_chunks: why chunks are no good for this source, where that is known.
        unfit: called with the reason when that turns out.
    """

    def __init__(
        self,
        source: Source,
        frames: NewestFrames,
        settings: DecodeSettings,
        clock: ThreadClock,
        *,
        batches: BatchThread,
        unfit_for_chunks: str | None = None,
        unfit: Callable[[str], None] = lambda _why: None,
    ) -> None:
        self._source = source
        self._frames = frames
        self._settings = settings
        self._clock = clock
        self._batches = batches
        self._stop = threading.Event()
        self._opened: OpenedSource | None = None
        self._thread = threading.Thread(target=self._run, name="read-chunks", daemon=True)
        self._sampler = TimeSampler(settings.sample_fps)
        self._rate = SampleRate(settings.sample_fps)
        self._known_unfit = unfit_for_chunks is not None
        self._why = unfit_for_chunks or ""
        self._unfit = unfit
        self._guard = threading.Condition()  # of what the batch thread changes too
        self._being_decoded = 0
        self._persistent: FrameReader | None = None
        self._began_s: float | None = None
        self._last_chunk_s = 0.0
        self._blind = False
        self._sampled = self._decoded = self._damaged = self._pushed_out = 0
        self._unusable_in_a_row = 0
        self._decode_s = self._sampled_s = 0.0
        self._cut = False
        self._step = StepClock()
        self._waiting = 0
        self._waiting_cut = False
        self._size: tuple[int, int] | None = None

    def start(self) -> None:
        """Begin in a thread of its own, which does not keep the process alive."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end; a source that is being opened ends by its own timeout."""
        self._stop.set()
        if self._opened is not None:
            self._opened.interrupt()
        self._batches.forget(self)
        with self._guard:
            self._guard.notify_all()
            if self._persistent is not None:
                self._persistent.stop()

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread's end; blocks. Return whether it ended."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def counts(self) -> DecodeCounts:
        """Return what was done so far."""
        own = DecodeCounts(
            decoded=self._decoded,
            sampled=self._sampled,
            dropped=self._pushed_out + self._frames.dropped,
            damaged=self._damaged,
            decode_s=self._decode_s,
            convert_s=0.0,
        )
        if self._persistent is None:
            return own
        more = self._persistent.counts
        return replace(
            more,
            decoded=own.decoded + more.decoded,
            sampled=own.sampled + more.sampled,
            dropped=self._pushed_out + more.dropped,
            damaged=own.damaged + more.damaged,
            decode_s=own.decode_s + more.decode_s,
        )

    @property
    def sample_fps(self) -> float:
        """Return the rate of sampling in force, in frames a second."""
        persistent = self._persistent
        return self._rate.fps if persistent is None else persistent.sample_fps

    @property
    def overloaded(self) -> bool:
        """Return whether less is looked at than was asked for, because the machine is too slow."""
        persistent = self._persistent
        return self._rate.reduced if persistent is None else persistent.overloaded

    @property
    def blind(self) -> bool:
        """Return whether the source sends, but has sent no whole picture for a while."""
        persistent = self._persistent
        return self._blind if persistent is None else persistent.blind

    @property
    def stuck_s(self) -> float:
        """Return how long the thread's present step takes so far; waiting is none."""
        persistent = self._persistent
        return self._step.stuck_s if persistent is None else persistent.stuck_s

    @property
    def decoder(self) -> DecoderName:
        """Return what decodes now."""
        return "pyav" if self._persistent is not None else self._batches.decoder.name

    @property
    def decoder_reason(self) -> str:
        """Return why libav decodes, if it does."""
        return "" if self._persistent is None else self._why

    def _run(self) -> None:
        self._step.begin()
        try:
            if not self._known_unfit:
                self._read()
        except (_NotForChunks, ChunksTooLong, BatchFailed) as why:
            _log.info("decode.by_libav", reason=str(why))
            self._known_unfit, self._why = True, str(why)
            self._unfit(self._why)
        except SourceFailure as failure:
            self._frames.finish(failure)
        except Exception:  # noqa: BLE001 - the thread's root; libav's texts hold credentials
            self._frames.finish(
                SourceFailure("crashed", "Reading the camera failed unexpectedly; it is retried.")
            )
        else:
            if not self._known_unfit:
                self._frames.finish()
        self._step.rest()
        if self._known_unfit:
            self._read_persistently()

    def _read_persistently(self) -> None:
        """Open the source, again, and read it with a decoder that keeps its state."""
        self._forget_waiting()
        self._await_last_chunk()
        sink: FrameSink = self._frames
        if self._sampled:
            after_s = self._sampled_s + self._sampler.period_s
            sink = FramesAfter(sink, after_s=after_s, taken=self._sampled)
        if self._batches.alive:
            side = self._settings.longest_side
            sink = PersistentFrames(sink, self._batches, longest_side=side)
        with self._guard:
            reader = FrameReader(self._source, sink, self._settings, self._clock)
            self._persistent = reader
            if self._stop.is_set():
                reader.stop()
        reader.run()

    def _read(self) -> None:
        opened = self._opened = self._source.open()
        try:
            stream = video_stream(opened)
            name = stream.codec.canonical_name
            if name not in _CODECS.get(self._batches.decoder.name, ()):
                raise _NotForChunks(f"{name} is not decoded in batches")
            frame_s = float(1 / stream.average_rate) if stream.average_rate else _USUAL_FRAME_S
            timeline = MediaTimeline(frame_s)
            check = ChunkCheck(stream)
            self._last_chunk_s = self._clock.monotonic()
            while not self._stop.is_set():
                before = self._decoded
                self._read_through(opened, stream, timeline, check)
                if self._stop.is_set():
                    return
                self._await_last_chunk()
                if self._source.live:
                    raise opened.failure or SourceFailure(
                        "ended" if self._decoded else "not_a_stream"
                    )
                if self._decoded == before:
                    raise SourceFailure("not_a_stream", "The file holds no picture to be decoded.")
                if not self._source.loops:
                    return
                self._rewind(opened, timeline)
        finally:
            opened.close()

    def _rewind(self, opened: OpenedSource, timeline: MediaTimeline) -> None:
        try:
            opened.container.seek(0)
        except av.error.FFmpegError:
            raise SourceFailure("ended", "The recording cannot be played again.") from None
        timeline.restart()
        self._began_s = None
        self._cut = True

    def _read_through(
        self,
        opened: OpenedSource,
        stream: VideoStream,
        timeline: MediaTimeline,
        check: ChunkCheck,
    ) -> None:
        """Read to the end, or until asked to stop."""
        collector = ChunkCollector()
        packets = opened.packets(stream)
        while not self._stop.is_set():
            self._step.begin()
            try:
                packet = next(packets, None)
            except av.error.FFmpegError as error:
                if self._stop.is_set():
                    break
                if self._source.live:
                    raise opened.failure or failure_at_reading(error) from None
                self._damaged += 1
                break  # a recording that is cut off ends where it is cut off
            if packet is None:
                break
            if packet.size == 0 or (opened.paced and self._wait_until(_decoding_time(packet))):
                continue
            arrival = Arrival(packet=packet, at=self._clock.now())
            self._take(collector.add(arrival), opened, stream, timeline, check)
            if self._unusable_in_a_row >= _UNUSABLE_IN_A_ROW:
                raise _NotForChunks("chunks of this stream cannot be decoded")
            without_s = self._clock.monotonic() - self._last_chunk_s
            self._blind = without_s > BLIND_AFTER_S
            if without_s > _NO_PICTURE_S:
                raise SourceFailure("no_key_frame")
        if not self._stop.is_set():
            self._take(collector.rest(), opened, stream, timeline, check)

    def _take(
        self,
        arrivals: Sequence[Arrival],
        opened: OpenedSource,
        stream: VideoStream,
        timeline: MediaTimeline,
        check: ChunkCheck,
    ) -> None:
        """Hand a chunk in, if there is one and any of its pictures is wanted."""
        if not arrivals:
            return
        self._last_chunk_s = self._clock.monotonic()
        try:
            own = own_packets(arrivals)
            check.require_decodable(own[0].packet)
            due = self._sample(own, opened, timeline)
            if not due:
                self._decoded += len(own)
                return
            chunk = pack_chunk(stream, own)
        except UnusableChunk as error:
            self._note_unusable(error)
            return
        if opened.paced:  # a recording can wait, and none of it need be lost
            self._await_last_chunk()
        wanted = WantedFrames(chunk=chunk, positions=tuple(due))
        self._put(wanted, list(due.values()))

    def _sample(
        self, own: Sequence[Arrival], opened: OpenedSource, timeline: MediaTimeline
    ) -> dict[int, _Due]:
        """Choose the pictures that are wanted, by their time, as `reader.py` does."""
        due: dict[int, _Due] = {}
        for position, one in enumerate(shown(own)):
            stamp_s = one.stamp_s if opened.stamped else one.at.timestamp()
            media_s = timeline.advance(stamp_s)
            if self._sampler.wants(media_s):
                due[position] = _Due(at=one.at, media_s=media_s, index=self._sampled, cut=self._cut)
                self._sampled += 1
                self._sampled_s = media_s
                self._cut = False
        return due

    def _put(self, wanted: WantedFrames, due: Sequence[_Due]) -> None:
        if self._forget_waiting():
            self._pushed_out += self._waiting
            if self._waiting_cut:  # the cut lies before whatever comes next
                due = [replace(due[0], cut=True), *due[1:]]
        self._waiting, self._waiting_cut = len(due), due[0].cut
        self._frames.make_room(2 * len(due))
        with self._guard:
            self._being_decoded += 1

        def deliver(outcome: Outcome) -> None:
            self._deliver(outcome, due, wanted.chunk.pictures)

        work = BatchWork(source=wanted, longest_side=self._settings.longest_side, deliver=deliver)
        self._batches.put(self, work)
        for _ in due:
            lost = self._pushed_out + self._frames.dropped
            self._sampler.pace(self._rate.sampled(self._clock.monotonic(), lost=lost))

    def _forget_waiting(self) -> bool:
        """Have the chunk that still waits not decoded; return whether there was one."""
        forgotten = self._batches.forget(self)
        if forgotten:
            with self._guard:
                self._being_decoded -= 1
        return forgotten

    def _deliver(self, outcome: Outcome, due: Sequence[_Due], pictures: int) -> None:
        """Hand frames over; in the batch thread."""
        with self._guard:
            self._being_decoded -= 1
            if isinstance(outcome, Made):
                self._unusable_in_a_row = 0
                self._decoded += pictures
                self._decode_s += outcome.seconds
                for one, made in zip(due, outcome.pictures, strict=True):
                    self._hand_over(one, made)
            elif isinstance(outcome, UnusableChunk):
                self._damaged += 1
                self._unusable_in_a_row += 1
            self._guard.notify_all()

    def _hand_over(self, due: _Due, made: MadePicture) -> None:
        size = made.picture.size
        resized, self._size = self._size not in (None, size), size
        self._frames.put(
            Frame(
                image=made.image,
                picture=made.picture,
                captured_at=due.at,
                media_s=due.media_s,
                index=due.index,
                cut=due.cut or resized,
                prepared=made.prepared,
            )
        )

    def _await_last_chunk(self) -> None:
        with self._guard:
            self._guard.wait_for(
                lambda: self._being_decoded == 0 or self._stop.is_set(), _LAST_CHUNK_S
            )

    def _note_unusable(self, error: UnusableChunk) -> None:
        with self._guard:
            self._damaged += 1
            self._unusable_in_a_row += 1
        _log.debug("chunk.unusable", reason=str(error))

    def _wait_until(self, media_s: float | None) -> bool:
        """Wait until a packet of a recording is due; return whether the reader was stopped."""
        if media_s is None:
            return self._stop.is_set()
        now_s = self._clock.monotonic()
        if self._began_s is None:
            self._began_s = now_s - media_s
        ahead_s = self._began_s + media_s - now_s
        self._step.rest()
        return ahead_s > 0 and self._clock.wait(self._stop, ahead_s)


def _decoding_time(packet: "Packet[VideoStream]") -> float | None:
    return seconds(packet.dts if packet.dts is not None else packet.pts, packet.time_base)
