"""Why a camera cannot be read: the closed set of reasons, and libav's errors put into it.

Most reasons are known from the camera's own answers (`relay/`). What remains is libav's: its texts
may hold whole URLs, so nothing of them goes further than this file; only the kind of the error
counts, and the sentence is our own. What libav cannot tell apart gets the reason that is true of
both.
"""

from typing import Literal

import av

FailureReason = Literal[
    "dns",
    "refused",
    "unreachable",
    "unauthorized",
    "forbidden_address",
    "not_found",
    "not_a_stream",
    "redirected",
    "tls",
    "unsupported_codec",
    "no_key_frame",
    "stalled",
    "ended",
    "timeout",
    "crashed",
]
"""Those of the API's `failure_reason` that a source can have."""

_SENTENCES: dict[FailureReason, str] = {
    "dns": "The name of the camera cannot be resolved; check the host of the address.",
    "refused": "Nothing listens at the camera's address and port; check both.",
    "unreachable": "The camera's address cannot be reached; check the network and the address.",
    "forbidden_address": "The camera's address is in no network where cameras may be; use another, "
    "or open the network with DFIP_CAMERA_NETWORKS.",
    "unauthorized": "The camera refused the user name or password; check the credentials.",
    "not_found": "The camera answers but knows no such stream; check the path of the address.",
    "not_a_stream": "What answers at this address is no readable video stream; check the address.",
    "redirected": "The camera redirects elsewhere, which is not followed; enter its own address.",
    "tls": "The camera's certificate is not trusted; name its authority in DFIP_CAMERA_CA_FILE.",
    "no_key_frame": "The stream sent no complete picture for too long; check the camera's encoder.",
    "stalled": "The camera stopped sending; it is tried again.",
    "ended": "The camera ended the stream; it is tried again.",
    "timeout": "The camera did not answer in time; check that it is switched on.",
}


class SourceFailure(Exception):
    """A camera cannot be read, or not any longer.

    Attributes:
        reason: one word of the closed set, for programs.
        sentence: one sentence for people, without the address and its credentials.
    """

    def __init__(self, reason: FailureReason, sentence: str | None = None) -> None:
        self.reason: FailureReason = reason
        self.sentence = sentence or _SENTENCES[reason]
        super().__init__(self.sentence)


def failure_at_opening(error: Exception) -> SourceFailure:
    """Return what an error of `av.open` means, where the camera itself did not tell more."""
    if not isinstance(error, av.error.FFmpegError):
        return SourceFailure("not_a_stream")
    reason = _reason_of_kind(error)
    return SourceFailure("timeout" if reason == "stalled" else reason)


def failure_at_reading(error: av.error.FFmpegError) -> SourceFailure:
    """Return what an error between two packets means; a broken connection is an end."""
    reason = _reason_of_kind(error)
    return SourceFailure("ended" if reason in ("refused", "unreachable") else reason)


_REASONS: tuple[tuple[type[av.error.FFmpegError], FailureReason], ...] = (
    (av.error.HTTPUnauthorizedError, "unauthorized"),
    (av.error.HTTPForbiddenError, "unauthorized"),
    (av.error.HTTPNotFoundError, "not_found"),
    (av.error.ConnectionRefusedError, "refused"),
    (av.error.ExitError, "stalled"),  # PyAV's own watchdog
    (av.error.TimeoutError, "stalled"),
    (av.error.DecoderNotFoundError, "unsupported_codec"),
    (av.error.PatchWelcomeError, "unsupported_codec"),
    (av.error.InvalidDataError, "not_a_stream"),
    (av.error.DemuxerNotFoundError, "not_a_stream"),
    (av.error.ProtocolNotFoundError, "not_a_stream"),
    (av.error.ArgumentError, "not_a_stream"),
    (av.error.HTTPError, "not_a_stream"),
)


def _reason_of_kind(error: av.error.FFmpegError) -> FailureReason:
    for kind, reason in _REASONS:
        if isinstance(error, kind):
            return reason
    return "unreachable"  # input/output error, reset, no route: libav does not say more
