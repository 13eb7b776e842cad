"""Refuses what cannot run before anything does: missing files, impossible doses, duplicates."""

from collections.abc import Iterator, Sequence

from search_spaces.attacks import FineTuningAttack, HarmfulFinetuning
from search_spaces.compressions import Calibration, NoCompression
from search_spaces.contents import content_of
from search_spaces.judge_checks import judge_problems
from search_spaces.model_checks import compression_steps, missing_model, unfit_for_model
from search_spaces.rows import DataError, read_rows
from search_spaces.settings import Settings, SpaceError
from search_spaces.sources import DataSource
from search_spaces.space import SearchSpace


def check(space: SearchSpace, file: str) -> None:
    """Raise SpaceError for the first thing in the space that could not run."""
    for field, message in _problems(space):
        raise SpaceError(file, field, message)


def _problems(space: SearchSpace) -> Iterator[tuple[str, str]]:
    yield from missing_model(space)
    yield from judge_problems(space.evaluation.judge, "evaluation.judge.")
    yield from _missing_forms(space)
    counts: dict[str, int] = {}
    for field, source, needs_answer in data_fields(space):
        try:
            rows = read_rows(source)
        except DataError as error:
            yield field, str(error)
            continue
        if needs_answer and source.columns.answer is None:
            yield f"{field}.columns.answer", "missing; name the column that holds the answers"
        if not rows:
            yield field, f"{source.path}: no rows left; check the file and `exclude`"
        counts[field] = len(rows)
    yield from _duplicates(space)
    yield from _doses(space, counts)
    yield from _untrainable(space)
    yield from unfit_for_model(space)


def data_fields(space: SearchSpace) -> Iterator[tuple[str, DataSource, bool]]:
    """Every data source of the space with its field's name and whether it must hold answers."""
    tuning = space.safety_tuning
    yield "safety_tuning.instructions", tuning.instructions, True
    for form, source in tuning.safety.items():
        yield f"safety_tuning.safety.{form}", source, True
    for i, attack in enumerate(space.attacks):
        if isinstance(attack, FineTuningAttack):
            yield f"attacks[{i}].data", attack.data, True
        if isinstance(attack, HarmfulFinetuning) and attack.benign:
            yield f"attacks[{i}].benign", attack.benign, True
    for field, calibration in _calibrations(space):
        for j, source in enumerate(calibration.data):
            yield _part(field, calibration, j), source, False
    evaluation = space.evaluation
    yield "evaluation.helpfulness", evaluation.helpfulness, True
    yield "evaluation.harmful", evaluation.harmful, False
    yield "evaluation.borderline", evaluation.borderline, False
    yield "evaluation.perplexity", evaluation.perplexity, False


def _missing_forms(space: SearchSpace) -> Iterator[tuple[str, str]]:
    tuning = space.safety_tuning
    for i, form in enumerate(tuning.forms):
        if form not in tuning.safety and any(tuning.doses):
            yield (
                f"safety_tuning.forms[{i}]",
                f"'{form}' has no data; add safety_tuning.safety.{form}",
            )


def _duplicates(space: SearchSpace) -> Iterator[tuple[str, str]]:
    factors: dict[str, Sequence[object]] = {
        "safety_tuning.doses": space.safety_tuning.doses,
        "safety_tuning.forms": space.safety_tuning.forms,
        "attacks": space.attacks,
        "compressions": space.compressions,
        "orders": space.orders,
        "seeds": space.seeds,
        "calibration_seeds": space.calibration_seeds,
    }
    for field, written in factors.items():
        values = [_by_content(value) for value in written]
        for i, value in enumerate(values):
            first = values.index(value)
            if first != i:
                yield (
                    f"{field}[{i}]",
                    f"the same as {field}[{first}], which makes duplicate cells; remove one",
                )


def _by_content(value: object) -> object:
    """The settings with what local data holds for where it lies: copies of a file are one."""
    if isinstance(value, DataSource) and value.is_local:
        location = {"path": content_of(value), "revision": None, "subset": None, "split": ""}
        return value.model_copy(update=location)
    if isinstance(value, Settings):
        names = type(value).model_fields
        return value.model_copy(update={name: _by_content(getattr(value, name)) for name in names})
    if isinstance(value, tuple):
        return tuple(map(_by_content, value))
    return value


def _doses(space: SearchSpace, counts: dict[str, int]) -> Iterator[tuple[str, str]]:
    tuning = space.safety_tuning
    for i, dose in enumerate(tuning.doses):
        if dose < 0:
            yield f"safety_tuning.doses[{i}]", f"{dose} is refused; allowed: 0 or more"
        for form in tuning.forms:
            yield from _too_large(
                f"safety_tuning.doses[{i}]", dose, counts, f"safety_tuning.safety.{form}"
            )
    for i, attack in enumerate(space.attacks):
        if isinstance(attack, FineTuningAttack):
            yield from _too_large(
                f"attacks[{i}].examples", attack.examples, counts, f"attacks[{i}].data"
            )
        if isinstance(attack, HarmfulFinetuning):
            yield from _too_large(
                f"attacks[{i}].poison_ratio", attack.benign_examples, counts, f"attacks[{i}].benign"
            )
    for field, calibration in _calibrations(space):
        parts = len(calibration.data)
        for j in range(parts):
            source = _part(field, calibration, j)
            yield from _too_large(f"{field}.samples", calibration.samples, counts, source, parts)


def _too_large(
    field: str, wanted: int, counts: dict[str, int], data: str, parts: int = 1
) -> Iterator[tuple[str, str]]:
    """`parts`: among how many sources, of which `data` is one, the wanted rows are divided."""
    if wanted > parts * counts.get(data, wanted):
        rows, share = counts[data], f" in {parts} equal parts" if parts > 1 else ""
        yield (
            field,
            f"{wanted}{share} is more than the {rows} rows of {data}; "
            f"allowed: at most {parts * rows}",
        )


def _untrainable(space: SearchSpace) -> Iterator[tuple[str, str]]:
    """An attack on a release needs compressed weights that adapters can be trained on."""
    if "compress_then_attack" not in space.orders:
        return
    for i, compression in enumerate(space.compressions):
        *_, (field, last) = compression_steps(f"compressions[{i}]", compression)
        if not last.trainable:
            yield (
                f"{field}.method",
                f"{last.method} weights cannot be fine-tuned, as orders: compress_then_attack "
                "asks; use bitsandbytes, gptq or a pruning, or leave that order out",
            )
    if all(isinstance(compression, NoCompression) for compression in space.compressions):
        return
    for i, attack in enumerate(space.attacks):
        if isinstance(attack, FineTuningAttack) and attack.training.adapter == "full":
            yield (
                f"attacks[{i}].training.adapter",
                "'full' cannot train compressed weights, as orders: compress_then_attack asks; "
                "give LoRA settings, or leave that order out",
            )


def _calibrations(space: SearchSpace) -> Iterator[tuple[str, Calibration]]:
    """Every calibration of the space with its field's name."""
    for i, compression in enumerate(space.compressions):
        for field, step in compression_steps(f"compressions[{i}]", compression):
            calibration = getattr(step, "calibration", None)
            if calibration is not None:
                yield f"{field}.calibration", calibration


def _part(field: str, calibration: Calibration, number: int) -> str:
    """The name of one source of a calibration, as the user wrote it."""
    return f"{field}.data[{number}]" if len(calibration.data) > 1 else f"{field}.data"
