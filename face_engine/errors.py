"""The errors of the face engine; each message is one sentence that says what to do.

Callers translate them into a status or an exit code; nothing here knows how they are shown.
"""


class PackError(Exception):
    """A model pack cannot be used."""


class PackUnknown(PackError):
    """No pack has this name."""


class PackNotPrepared(PackError):
    """The pack's models have not been made on this machine, or one of its files is missing."""


class PackFileCorrupt(PackError):
    """A file of the pack is damaged, cut off or not the pinned one."""


class AcceleratorUnavailable(Exception):
    """An accelerator was required and cannot be used."""


class QuantizationRefused(Exception):
    """A quantised variant cannot be made, or is not as good as its base."""
