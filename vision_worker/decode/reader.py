"""The decoding thread of one camera: opens its source, decodes, samples and hands frames over.

Everything that libav may block on happens here, so that asyncio stays free. The thread ends by
itself when the source ends or fails; the reason travels through the hand-over (`newest_frames.py`)
to `pipeline.py`. Nothing is retried here.
"""

import threading
import time
from dataclasses import dataclass

import av
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from vision_worker.decode.batches.batch import DecoderName
from vision_worker.decode.camera_clock import CameraClock
from vision_worker.decode.frame import DecodeCounts, Frame
from vision_worker.decode.lateness import Lateness
from vision_worker.decode.newest_frames import FrameSink
from vision_worker.decode.picture import AvPicture
from vision_worker.decode.sample_rate import SampleRate
from vision_worker.decode.sampling import MediaTimeline, SkipMode, SkipPolicy, TimeSampler
from vision_worker.decode.step_clock import StepClock
from vision_worker.decode.thread_clock import ThreadClock
from vision_worker.process.thread_name import name_this_thread
from vision_worker.sources.failure import SourceFailure, failure_at_reading
from vision_worker.sources.limits import CODECS, MAX_PIXELS
from vision_worker.sources.opening import OpenedSource, Source

_USUAL_FRAME_S = 1 / 25
_UNDECODABLE = "The pictures cannot be decoded; they are damaged, or larger than 16 megapixels."
BLIND_AFTER_S = 5.0  # with the probing before it, less than 10 s from the connection on
_NO_PICTURE_S = 75.0  # some cameras send a key frame a minute, whoever joins
_DAMAGED_IN_A_ROW = 200
_LARGEST_LAG_S = 2.0
_INTERPOLATION = "AREA"


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeSettings:
    """How a source is read.

    Attributes:
        sample_fps: sampled frames a second of the stream's time.
        longest_side: of what the detector sees; larger pictures are scaled down to it.
    """

    sample_fps: float = 5.0
    longest_side: int = 1280


class FrameReader:
    """Reads one source once, from its opening to its end or failure."""

    def __init__(
        self,
        source: Source,
        frames: FrameSink,
        settings: DecodeSettings,
        clock: ThreadClock,
    ) -> None:
        self._source = source
        self._frames = frames
        self._settings = settings
        self._clock = clock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self.run, name="decode", daemon=True)
        self._sampler = TimeSampler(settings.sample_fps)
        self._rate = SampleRate(settings.sample_fps)
        self._lateness = Lateness()
        self._camera_clock = CameraClock()
        self._reformatter = VideoReformatter()
        self._decoded = self._sampled = self._damaged = 0
        self._decode_s = self._convert_s = 0.0
        self._damaged_in_a_row = 0
        self._size: tuple[int, int] | None = None
        self._cut = False
        self._began_s: float | None = None
        self._opened: OpenedSource | None = None
        self._last_picture_s = 0.0
        self._blind = False
        self._step = StepClock()

    def start(self) -> None:
        """Begin in a thread of its own, which does not keep the process alive."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end; a source that is being opened ends by its own timeout."""
        self._stop.set()
        if self._opened is not None:
            self._opened.interrupt()

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread's end; blocks. Return whether it ended."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def counts(self) -> DecodeCounts:
        """Return what was done so far."""
        return DecodeCounts(
            decoded=self._decoded,
            sampled=self._sampled,
            dropped=self._frames.dropped,
            damaged=self._damaged,
            decode_s=self._decode_s,
            convert_s=self._convert_s,
        )

    @property
    def sample_fps(self) -> float:
        """Return the rate of sampling in force, in frames a second."""
        return self._rate.fps

    @property
    def overloaded(self) -> bool:
        """Return whether less is looked at than was asked for, because the machine is too slow."""
        return self._rate.reduced or self._lateness.behind

    @property
    def blind(self) -> bool:
        """Return whether the source sends, but has sent no whole picture for a while."""
        return self._blind

    @property
    def stuck_s(self) -> float:
        """Return how long the thread's present step takes so far; waiting is none."""
        return self._step.stuck_s

    @property
    def decoder(self) -> DecoderName:
        """Return what decodes: libav, always."""
        return "pyav"

    @property
    def decoder_reason(self) -> str:
        """Return nothing: it is as it should be."""
        return ""

    def run(self) -> None:
        """Read in this very thread, to the end."""
        name_this_thread("decode")
        self._step.begin()
        try:
            self._read()
        except SourceFailure as failure:
            self._frames.finish(failure)
        except Exception:  # noqa: BLE001 - the thread's root; libav's texts hold credentials
            self._frames.finish(
                SourceFailure("crashed", "Reading the camera failed unexpectedly; it is retried.")
            )
        else:
            self._frames.finish()
        finally:
            self._step.rest()

    def _read(self) -> None:
        opened = self._opened = self._source.open()
        try:
            stream = video_stream(opened)
            frame_s = float(1 / stream.average_rate) if stream.average_rate else None
            skip = SkipPolicy(sample_period_s=self._sampler.period_s, frame_s=frame_s)
            timeline = MediaTimeline(frame_s or _USUAL_FRAME_S)
            self._last_picture_s = self._clock.monotonic()
            while not self._stop.is_set():
                before = self._decoded
                self._read_through(opened, stream, skip, timeline)
                if self._stop.is_set():
                    return
                if self._source.live:
                    raise opened.failure or SourceFailure(
                        "ended" if self._decoded else "not_a_stream"
                    )
                if self._decoded == before and self._damaged_in_a_row:
                    raise SourceFailure("unsupported_codec", _UNDECODABLE)
                if self._decoded == before:
                    raise SourceFailure("not_a_stream", "The file holds no picture to be decoded.")
                if not self._source.loops:
                    return
                self._rewind(opened, skip, timeline)
        finally:
            opened.close()

    def _rewind(self, opened: OpenedSource, skip: SkipPolicy, timeline: MediaTimeline) -> None:
        try:
            opened.container.seek(0)
        except av.error.FFmpegError:
            raise SourceFailure("ended", "The recording cannot be played again.") from None
        skip.restart()
        timeline.restart()
        self._cut = True

    def _read_through(
        self,
        opened: OpenedSource,
        stream: VideoStream,
        skip: SkipPolicy,
        timeline: MediaTimeline,
    ) -> None:
        """Read to the end, or until asked to stop."""
        packets = opened.packets(stream)
        while not self._stop.is_set():
            self._step.begin()
            try:
                packet = next(packets, None)
            except av.error.FFmpegError as error:
                if self._stop.is_set():
                    return
                if self._source.live:
                    raise opened.failure or failure_at_reading(error) from None
                self._damaged += 1
                return  # a recording that is cut off ends where it is cut off
            if packet is None:
                return
            stamp = packet.pts if packet.pts is not None else packet.dts
            base = packet.time_base
            stamp_s = float(stamp * base) if stamp is not None and base is not None else None
            if not self._camera_clock.believed:
                stamp_s = self._clock.monotonic()
            mode = skip.packet(key=packet.is_keyframe, stamp_s=stamp_s)
            _set_skip(stream, mode)
            for frame in self._decode(packet):
                self._take(frame, opened, timeline, stream, skip)
                if self._stop.is_set():
                    return
            self._require_pictures()

    def _decode(self, packet: "Packet[VideoStream]") -> list[VideoFrame]:
        began = time.perf_counter()
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            self._damaged += 1
            self._damaged_in_a_row += 1
            if self._damaged_in_a_row >= _DAMAGED_IN_A_ROW:
                raise SourceFailure("unsupported_codec", _UNDECODABLE) from None
            return []
        finally:
            self._decode_s += time.perf_counter() - began
        if frames:
            self._damaged_in_a_row = 0
        return frames

    def _take(
        self,
        frame: VideoFrame,
        opened: OpenedSource,
        timeline: MediaTimeline,
        stream: VideoStream,
        skip: SkipPolicy,
    ) -> None:
        self._decoded += 1
        self._blind = False
        now_s = self._last_picture_s = self._clock.monotonic()
        stamped = opened.stamped and self._camera_clock.believed
        media_s = timeline.advance(frame.time if stamped else now_s)
        _set_skip(stream, skip.decoded(media_s))
        if self._source.live and stamped and not opened.paced:
            self._judge_times(stream, skip, timeline, now_s=now_s, media_s=media_s)
        if not self._sampler.wants(media_s) or (opened.paced and self._wait_until(media_s)):
            return
        size = (frame.width, frame.height)
        cut = self._cut or self._size not in (None, size)
        self._size, self._cut = size, False
        picture = AvPicture(frame)
        began = time.perf_counter()
        image = picture.scaled_by(self._reformatter, self._settings.longest_side, _INTERPOLATION)
        self._convert_s += time.perf_counter() - began
        sampled = Frame(
            image=image,
            picture=picture,
            captured_at=self._clock.now(),
            media_s=media_s,
            index=self._sampled,
            cut=cut,
        )
        self._sampled += 1
        self._frames.put(sampled)
        before = self._rate.fps
        if self._rate.sampled(self._clock.monotonic(), lost=self._frames.dropped) != before:
            self._sampler.pace(self._rate.fps)
            skip.pace(self._sampler.period_s)

    def _judge_times(
        self,
        stream: VideoStream,
        skip: SkipPolicy,
        timeline: MediaTimeline,
        *,
        now_s: float,
        media_s: float,
    ) -> None:
        """Make up for lateness, and go by arrival where the camera's clock is wrong."""
        if self._camera_clock.picture(now_s=now_s, media_s=media_s):
            self._lateness.restart()
            timeline.restart()
            skip.restart()
        if timeline.guessed:
            self._lateness.restart()
        behind = self._lateness.picture(now_s=now_s, media_s=media_s)
        _set_skip(stream, skip.catch_up(behind=behind and self._camera_clock.believed))

    def _wait_until(self, media_s: float) -> bool:
        """Wait until a frame is due; return whether the reader was stopped meanwhile."""
        now_s = self._clock.monotonic()
        if self._began_s is None:
            self._began_s = now_s - media_s
        ahead_s = self._began_s + media_s - now_s
        if ahead_s < -_LARGEST_LAG_S:
            self._began_s -= ahead_s  # after a pause of the machine go on, do not rush
        self._step.rest()
        stopped = ahead_s > 0 and self._clock.wait(self._stop, ahead_s)
        self._step.begin()
        self._last_picture_s = self._clock.monotonic()
        return stopped

    def _require_pictures(self) -> None:
        """Note that nothing can be seen, and give up where that lasts: after a minute and more.

        Connecting anew would only begin the wait for a key frame anew.
        """
        without_s = self._clock.monotonic() - self._last_picture_s
        usual_s = 3 * self._sampler.period_s  # where key frames alone are decoded
        self._blind = without_s > max(BLIND_AFTER_S, usual_s)
        if without_s > max(_NO_PICTURE_S, usual_s):
            raise SourceFailure("no_key_frame")


def video_stream(opened: OpenedSource) -> VideoStream:
    """Return the first picture stream, ready to be decoded within limits."""
    streams = opened.container.streams.video
    if not streams:
        raise SourceFailure("not_a_stream", "This stream holds no picture; check the address.")
    stream = streams[0]
    context = stream.codec_context
    if stream.codec.canonical_name not in CODECS:
        raise SourceFailure(
            "unsupported_codec", "The camera's codec is not supported; set it to H.264 or H.265."
        )
    if context.width * context.height > MAX_PIXELS:
        raise SourceFailure(
            "unsupported_codec", "The camera's picture is too large; 16 megapixels are the limit."
        )
    # only here: libav ignores it among the options of the container
    context.options = {"max_pixels": str(MAX_PIXELS)}
    context.thread_count = 1
    return stream


def _set_skip(stream: VideoStream, mode: SkipMode) -> None:
    if stream.codec_context.skip_frame != mode:
        stream.codec_context.skip_frame = mode
