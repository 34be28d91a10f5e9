"""What `dfip models …` does: lists packs, and makes a quantised variant where it is good enough."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cli.failures import CommandFailed, ExitCode
from cli.models.faces import Faces, LabelledPicture, faces_of
from cli.output import Column, Output
from cli.supervisor.running import prepare_pack_for
from cli.talk import Talk
from face_engine.engine import open_engine
from face_engine.errors import PackError, QuantizationRefused
from face_engine.packs import known_packs, resolve_pack
from face_engine.preparation import is_prepared, prepared_variants
from face_engine.quantization import Measured, quantize_pack


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPack:
    """A pack as it is listed; `measured` is empty but for quantised variants."""

    pack_id: str
    detector: str
    embedder: str
    precision: str
    prepared: bool
    thresholds: str
    measured: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeVariant:
    """A variant that was made, and how it does beside its base."""

    pack_id: str
    base: str
    folder: str
    measured: Measured


_LISTED: tuple[Column[ListedPack], ...] = (
    Column(title="pack", value=lambda p: p.pack_id),
    Column(title="detector", value=lambda p: p.detector),
    Column(title="embedder", value=lambda p: p.embedder),
    Column(title="precision", value=lambda p: p.precision),
    Column(title="on this machine", value=lambda p: "yes" if p.prepared else "no"),
    Column(title="thresholds", value=lambda p: p.thresholds),
    Column(
        title="cosine to fp32",
        value=lambda p: f"{p.measured['cosine_mean']:.4f}" if "cosine_mean" in p.measured else "",
    ),
)


def _speed(made: MadeVariant) -> str:
    return ", ".join(f"{name}: {ms:g}" for name, ms in made.measured.ms_a_face.items())


def _gap(made: MadeVariant) -> str:
    parts = []
    for name, gap in (("fp32", made.measured.fp32), ("int8", made.measured.int8)):
        if gap is not None:
            same = f"same {gap.same_least:.3f} to {gap.same_mean:.3f} in the mean"
            parts.append(f"{name}: {same}, different at most {gap.different_most:.3f}")
    return "; ".join(parts)


_MADE: tuple[Column[MadeVariant], ...] = (
    Column(title="pack", value=lambda m: m.pack_id),
    Column(title="base", value=lambda m: m.base),
    Column(title="faces", value=lambda m: str(m.measured.faces)),
    Column(title="held out", value=lambda m: str(m.measured.held_out)),
    Column(title="cosine mean", value=lambda m: f"{m.measured.cosine_mean:.4f}"),
    Column(title="cosine least", value=lambda m: f"{m.measured.cosine_least:.4f}"),
    Column(title="pairs", value=lambda m: str(m.measured.pairs)),
    Column(title="decided otherwise", value=lambda m: str(m.measured.changed)),
    Column(title="largest shift", value=lambda m: f"{m.measured.largest_shift:.3f}"),
    Column(title="scores", value=_gap),
    Column(title="ms a face", value=_speed),
    Column(title="folder", value=lambda m: m.folder),
)


def list_packs(output: Output) -> None:
    """Print the packs that this program knows, and the variants that were made here."""
    known = [
        ListedPack(
            pack_id=pack.pack_id,
            detector=pack.detector,
            embedder=pack.embedder,
            precision="fp32",
            prepared=is_prepared(pack.pack_id),
            thresholds=pack.thresholds.version,
            measured={},
        )
        for pack in map(resolve_pack, known_packs())
    ]
    variants = [
        ListedPack(
            pack_id=made.pack.pack_id,
            detector=made.pack.detector,
            embedder=made.pack.embedder,
            precision="int8",
            prepared=True,
            thresholds=made.pack.thresholds.version,
            measured=measured,
        )
        for made, measured in prepared_variants()
    ]
    output.listing([*known, *variants], _LISTED)


def quantize(
    pack_id: str, gather: Callable[[], Iterable[LabelledPicture]], output: Output, talk: Talk
) -> None:
    """Make a quantised variant of a pack.

    Args:
        pack_id: the pack.
        gather: returns pictures of faces.
        output: prints what was made.
        talk: says what is left out.

    Raises:
        CommandFailed: the pack cannot be used, there are too few faces, or the variant is not good
            enough.
    """
    prepare_pack_for(pack_id, talk)
    pictures = list(gather())
    try:
        with _progress(talk) as shown:
            with open_engine(pack_id, accelerator="cpu") as engine:
                faces = faces_of(
                    engine,
                    pictures,
                    total=len(pictures),
                    shown=lambda part: shown("looking for faces", 0.4 * part),
                )
            _require_faces(faces)
            made, measured = quantize_pack(
                pack_id,
                faces.chips,
                faces.labels,
                progress=lambda step, part: shown(step, 0.4 + 0.6 * part),
            )
    except PackError as error:
        raise CommandFailed(str(error)) from None
    except QuantizationRefused as error:
        raise CommandFailed(str(error), why=_looked_at(faces)) from None
    if faces.unreadable:
        talk.say(f"{faces.unreadable} of {faces.pictures} files are no pictures.", "warning")
    variant = MadeVariant(
        pack_id=made.pack.pack_id, base=pack_id, folder=str(made.folder), measured=measured
    )
    output.record(variant, _MADE)
    talk.say(
        f"Use it with --pack {made.pack.pack_id}. Its embeddings are not compared with those of "
        f"{pack_id}: enrol people anew, on a site of its own.",
    )


def _require_faces(faces: Faces) -> None:
    if not len(faces.chips):
        raise CommandFailed(
            "No face that can be recognised was found; give photographs of faces at least 40 "
            "pixels high.",
            why=_looked_at(faces),
            code=ExitCode.FAILED,
        )


def _looked_at(faces: Faces) -> str:
    return f"{len(faces.chips)} usable faces in {faces.pictures} pictures"


@contextmanager
def _progress(talk: Talk) -> Iterator[Callable[[str, float], None]]:
    if not sys.stderr.isatty():
        talk.say("Quantising takes some seconds.")
        yield lambda _step, _fraction: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=1.0)
        yield lambda step, part: bar.update(task, completed=part, description=step)
