"""The counters of a camera's pipeline, in one value for status and metrics."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTiming:
    """Time spent in one stage.

    Attributes:
        count: times that it ran.
        seconds: in all.
    """

    count: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineStats:
    """What a pipeline did since it began, over all openings of its source.

    Attributes:
        fps: sampled frames a second over the last seconds.
        sample_fps: frames a second that are looked at; less than asked for under load.
        overloaded: whether the machine is too slow for what was asked for.
        stuck_s: how long a decoding thread is in its present step, in seconds.
        decoder: what decodes the source now: `pyav`, `dali-nvdec` or `dali-cpu`.
        decoder_reason: why libav does, although the models run on a GPU; else empty.
        questions_waiting: embedded shots that the index has not answered yet.
        questions_dropped: such shots given up because too many waited.
        tracks: confirmed tracks.
        reports: sighting reports made.
    """

    fps: float = 0.0
    sample_fps: float = 0.0
    decoder: str = ""
    decoder_reason: str = ""
    overloaded: bool = False
    stuck_s: float = 0.0
    frames_decoded: int = 0
    frames_sampled: int = 0
    frames_dropped: int = 0
    frames_damaged: int = 0
    faces_detected: int = 0
    embeddings: int = 0
    identify_calls: int = 0
    identify_failures: int = 0
    questions_waiting: int = 0
    questions_dropped: int = 0
    tracks: int = 0
    reports: int = 0
    stages: dict[str, StageTiming] = field(default_factory=dict)
