"""Quantises a pack's embedder to 8-bit integers, and says whether it still tells people apart.

Static quantisation: weights per channel, activations by their range over calibration faces, written
as QDQ nodes that ONNX Runtime fuses into integer kernels. It is about twice as fast on a CPU with
such instructions. Faces that were not calibrated with are then embedded by both models; where these
differ too much nothing is made. `cli` gathers the faces; `preparation.py` keeps the result.

Measured with the pack `yunet-dlib` on 42 faces of 6 people, 31 of them for calibration: cosine to
fp32 0.998 in the mean and 0.996 at least, no score of 861 pairs moved by more than 0.05, and
decisions changed only for 5 pairs within 0.01 of the threshold; 1.8 ms a face instead of 4.4.
"""

import contextlib
import io
import logging
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from face_engine.embedder import DlibEmbedder
from face_engine.errors import QuantizationRefused
from face_engine.model_files import digest_of
from face_engine.onnx_session import open_models
from face_engine.packs import ModelPack, Thresholds, variant_of
from face_engine.preparation import (
    PreparedPack,
    Progress,
    install_variant,
    load_models,
    prepare_pack,
)

_SPEED_ROUNDS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizationRules:
    """What is needed, and how near a variant has to be to its base.

    Attributes:
        fewest_faces: three of four calibrate, the others judge.
        most_faces: further ones are left out.
        held_out_every: each so manieth face is held out of the calibration.
        mean_cosine: least mean cosine of the embeddings of held-out faces, in the space in which
            the pack compares.
        least_cosine: least cosine of any of them.
        border: a pair of faces whose score is nearer to a threshold than this may fall to its other
            side: so much does a score change with a slight shift of the face, too.
    """

    fewest_faces: int = 36
    most_faces: int = 256
    held_out_every: int = 4
    mean_cosine: float = 0.99
    least_cosine: float = 0.97
    border: float = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Separation:
    """How far apart pairs of the same person and of different ones are scored."""

    same_least: float
    same_mean: float
    different_most: float
    different_mean: float
    wrong: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A variant beside its base.

    Attributes:
        faces: that were given.
        held_out: of these, not calibrated with.
        cosine_mean: of the held-out faces' embeddings, int8 to fp32.
        cosine_least: likewise.
        pairs: of all faces.
        largest_shift: of the score of a pair.
        changed: pairs that are decided otherwise.
        changed_clearly: of these, pairs that were not at a threshold's border.
        fp32: separation by people, where the faces have labels.
        int8: likewise.
        ms_a_face: milliseconds on one thread by model and batch.
    """

    faces: int
    held_out: int
    cosine_mean: float
    cosine_least: float
    pairs: int
    largest_shift: float
    changed: int
    changed_clearly: int
    fp32: Separation | None
    int8: Separation | None
    ms_a_face: Mapping[str, float] = field(default_factory=dict)

    def shortcomings(self, rules: QuantizationRules) -> list[str]:
        """Return what forbids to use the variant, each as a phrase with its figures."""
        found = []
        if self.cosine_mean < rules.mean_cosine:
            found.append(f"the mean cosine is {self.cosine_mean:.4f}, below {rules.mean_cosine}")
        if self.cosine_least < rules.least_cosine:
            found.append(f"the least cosine is {self.cosine_least:.4f}, below {rules.least_cosine}")
        if self.changed_clearly:
            found.append(f"{self.changed_clearly} of {self.pairs} pairs are decided otherwise")
        if self.fp32 and self.int8 and self.int8.wrong > self.fp32.wrong:
            found.append(
                f"{self.int8.wrong} pairs are decided wrongly, {self.fp32.wrong} with the original"
            )
        return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Given:
    """The faces: (n, s, s, 3) uint8 chips, who they show, and which are held out."""

    chips: NDArray[np.uint8]
    labels: Sequence[str | None]
    held_out: NDArray[np.bool_]


def quantize_pack(
    base_id: str,
    chips: NDArray[np.uint8],
    labels: Sequence[str | None],
    *,
    progress: Progress,
    cache: Path | None = None,
    rules: QuantizationRules = QuantizationRules(),
) -> tuple[PreparedPack, Measured]:
    """Make and keep the quantised variant of a pack.

    Args:
        base_id: the pack.
        chips: (n, s, s, 3) uint8 RGB; aligned faces of the pack.
        labels: who they show, where that is known.
        progress: told what is being done.
        cache: where packs are kept; by default the user's cache.
        rules: what is good enough.

    Raises:
        PackError: the base cannot be used.
        QuantizationRefused: too few faces, or the variant is not good enough; the sentence has the
            figures.
    """
    pack = prepare_pack(base_id, cache=cache).pack
    if pack.is_quantized:
        raise QuantizationRefused(f"The pack {base_id} is quantised already; name its base.")
    chips, labels = chips[: rules.most_faces], labels[: rules.most_faces]
    if len(chips) < rules.fewest_faces:
        raise QuantizationRefused(
            f"{len(chips)} usable faces are too few to calibrate with, {rules.fewest_faces} are "
            "needed; give more photographs of faces."
        )
    held_out = np.arange(len(chips)) % rules.held_out_every == rules.held_out_every - 1
    models = load_models(pack, cache=cache)
    name = f"{pack.embedder}.onnx"
    quantised = _quantised(models[name], chips[~held_out], progress)
    progress("comparing", 0.7)
    given = _Given(chips=chips, labels=labels, held_out=held_out)
    measured = _compared(pack, {"fp32": models[name], "int8": quantised}, given, rules)
    if faults := measured.shortcomings(rules):
        raise QuantizationRefused(
            f"The quantised {base_id} is not good enough: {', '.join(faults)} "
            f"({measured.faces} faces, {measured.held_out} of them held out); "
            "give more and other photographs, or stay with the original."
        )
    from_base = models | {name: quantised}
    variant = variant_of(pack, digest_of(quantised))
    kept = install_variant(variant, from_base, measured=asdict(measured), cache=cache)
    progress("ready", 1.0)
    return kept, measured


def _quantised(model: bytes, chips: NDArray[np.uint8], progress: Progress) -> bytes:
    # Loading these takes half a second, which only this function need spend.
    import onnx  # noqa: PLC0415
    from onnxruntime.quantization import (  # noqa: PLC0415
        CalibrationDataReader,
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    graph = onnx.load_from_string(model)
    entry = graph.graph.input[0].name
    # the mirror image is embedded, too
    both = np.concatenate([chips, chips[:, :, ::-1]])

    class Reader(CalibrationDataReader):
        """Hands out one face after the other."""

        def __init__(self) -> None:
            self._at = 0

        def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
            if self._at == len(both):
                return None
            progress("calibrating", 0.6 * self._at / len(both))
            self._at += 1
            return {entry: both[self._at - 1 : self._at]}

    with tempfile.TemporaryDirectory() as folder, _quiet():
        made = Path(folder) / "int8.onnx"
        quantize_static(
            graph,
            str(made),
            Reader(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
        return made.read_bytes()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the quantiser's remarks, which go to standard output and the root logger, to itself."""

    def is_ours(record: logging.LogRecord) -> bool:
        return "pre-processing" not in record.getMessage()

    root = logging.getLogger()
    root.addFilter(is_ours)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        root.removeFilter(is_ours)


def _compared(
    pack: ModelPack, models: Mapping[str, bytes], given: _Given, rules: QuantizationRules
) -> Measured:
    chips = given.chips
    name = f"{pack.embedder}.onnx"
    embedders: dict[str, DlibEmbedder] = {}
    for title, model in models.items():
        opened = open_models({name: model}, threads=1, accelerator="cpu", required=False)
        embedders[title] = DlibEmbedder(opened.sessions, mirror_averaged=pack.mirror_averaged)
    before, after = (pack.space.place(one.raw(chips)) for one in embedders.values())
    cosines = np.sum(before * after, axis=1)[given.held_out]
    rows, columns = np.triu_indices(len(chips), 1)
    scores_before = pack.score(before, before)[rows, columns]
    scores_after = pack.score(after, after)[rows, columns]
    changed, clearly = _changes(scores_before, scores_after, pack.thresholds, rules.border)
    same = _same(given.labels, rows, columns)
    return Measured(
        faces=len(chips),
        held_out=int(given.held_out.sum()),
        cosine_mean=float(cosines.mean()),
        cosine_least=float(cosines.min()),
        pairs=len(rows),
        largest_shift=float(np.abs(scores_before - scores_after).max()),
        changed=changed,
        changed_clearly=clearly,
        fp32=_separation(scores_before, same, pack.thresholds),
        int8=_separation(scores_after, same, pack.thresholds),
        ms_a_face=_speeds(embedders, chips),
    )


def _changes(
    before: NDArray[np.float32],
    after: NDArray[np.float32],
    thresholds: Thresholds,
    border: float,
) -> tuple[int, int]:
    """Return how many pairs fall to another side of a threshold, and how many of them clearly."""
    changed = np.zeros(len(before), bool)
    clearly = np.zeros(len(before), bool)
    for threshold in (thresholds.match, thresholds.review):
        crossed = (before >= threshold) != (after >= threshold)
        changed |= crossed
        clearly |= crossed & (np.abs(before - threshold) > border)
    return int(changed.sum()), int(clearly.sum())


def _same(
    labels: Sequence[str | None], rows: NDArray[np.intp], columns: NDArray[np.intp]
) -> NDArray[np.int8]:
    """Return for each pair 1 where both show one person, 0 where two, -1 where nobody knows."""
    numbers = {label: number for number, label in enumerate(sorted(filter(None, set(labels))))}
    who = np.array([numbers[label] if label else -1 for label in labels])
    known = (who[rows] >= 0) & (who[columns] >= 0)
    return np.where(known, who[rows] == who[columns], -1).astype(np.int8)


def _separation(
    scores: NDArray[np.float32], same: NDArray[np.int8], thresholds: Thresholds
) -> Separation | None:
    alike, others = scores[same == 1], scores[same == 0]
    if not (len(alike) and len(others)):
        return None
    return Separation(
        same_least=float(alike.min()),
        same_mean=float(alike.mean()),
        different_most=float(others.max()),
        different_mean=float(others.mean()),
        wrong=int((alike < thresholds.match).sum() + (others >= thresholds.match).sum()),
    )


def _speeds(embedders: Mapping[str, DlibEmbedder], chips: NDArray[np.uint8]) -> dict[str, float]:
    """Return the least milliseconds a face; both models in turns, as a noisy moment meets both."""
    batches = (1, min(8, len(chips)))
    least = {f"{title}, batch {size}": np.inf for title in embedders for size in batches}
    for _ in range(_SPEED_ROUNDS):
        for title, embedder in embedders.items():
            for size in batches:
                began = time.perf_counter()
                embedder.raw(chips[:size])
                took = (time.perf_counter() - began) / size * 1e3
                least[f"{title}, batch {size}"] = min(least[f"{title}, batch {size}"], took)
    return {name: round(value, 2) for name, value in least.items()}
