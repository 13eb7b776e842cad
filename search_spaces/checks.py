"""Refuses what cannot run before anything does: missing files, impossible doses, duplicates."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import get_args

from search_spaces.attacks import FineTuningAttack, HarmfulFinetuning
from search_spaces.compressions import Gptq
from search_spaces.contents import content_of
from search_spaces.rows import DataError, read_rows
from search_spaces.settings import Settings, SpaceError
from search_spaces.sources import DataSource
from search_spaces.space import SearchSpace
from search_spaces.weight_shapes import linear_shapes

GPTQ_GROUP_SIZES: tuple[int, ...] = get_args(Gptq.model_fields["group_size"].annotation)
GPTQ_OUTPUT_MULTIPLE = 16


def check(space: SearchSpace, file: str) -> None:
    """Raise SpaceError for the first thing in the space that could not run."""
    for field, message in _problems(space):
        raise SpaceError(file, field, message)


def _problems(space: SearchSpace) -> Iterator[tuple[str, str]]:
    yield from _missing_model(space)
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
    yield from _group_sizes(space)


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
    for i, compression in enumerate(space.compressions):
        if isinstance(compression, Gptq):
            yield f"compressions[{i}].calibration.data", compression.calibration.data, False
    evaluation = space.evaluation
    yield "evaluation.helpfulness", evaluation.helpfulness, True
    yield "evaluation.harmful", evaluation.harmful, False
    yield "evaluation.borderline", evaluation.borderline, False
    yield "evaluation.perplexity", evaluation.perplexity, False


def _missing_model(space: SearchSpace) -> Iterator[tuple[str, str]]:
    folder = Path(space.model.path)
    if space.embedded or not space.model.is_local:
        return
    if not folder.is_dir():
        yield "model.path", f"{folder}: no such folder; allowed: a Hugging Face model folder"
    elif not (folder / "config.json").is_file():
        yield "model.path", f"{folder}: not a Hugging Face model folder (no config.json)"


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
        "seeds": space.seeds,
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
    for i, compression in enumerate(space.compressions):
        if isinstance(compression, Gptq):
            field = f"compressions[{i}].calibration"
            yield from _too_large(
                f"{field}.samples", compression.calibration.samples, counts, f"{field}.data"
            )


def _too_large(
    field: str, wanted: int, counts: dict[str, int], data: str
) -> Iterator[tuple[str, str]]:
    if wanted > counts.get(data, wanted):
        most = counts[data]
        yield field, f"{wanted} is more than the {most} rows of {data}; allowed: at most {most}"


def _group_sizes(space: SearchSpace) -> Iterator[tuple[str, str]]:
    folder = Path(space.model.path)
    if not space.model.is_local or not (folder / "config.json").is_file():
        return
    try:
        shapes = linear_shapes(folder)
    except (ValueError, OSError) as error:
        yield "model.path", f"{folder}: a file of the model cannot be read: {error}"
        return
    for i, compression in enumerate(space.compressions):
        if isinstance(compression, Gptq):
            yield from _gptq_shapes(f"compressions[{i}]", compression.group_size, shapes)


def _gptq_shapes(
    field: str, group: int, shapes: dict[str, tuple[int, int]]
) -> Iterator[tuple[str, str]]:
    fitting = [g for g in GPTQ_GROUP_SIZES if all(n % g == 0 for _, n in shapes.values())]
    for name, (outputs, inputs) in shapes.items():
        if inputs % group:
            yield (
                f"{field}.group_size",
                f"{group} does not divide the {inputs} inputs of {name}; "
                f"allowed: {', '.join(map(str, fitting)) or 'none fits every layer'}",
            )
        if outputs % GPTQ_OUTPUT_MULTIPLE:
            yield (
                f"{field}.method",
                f"gptq needs output widths that are multiples of {GPTQ_OUTPUT_MULTIPLE}, "
                f"and {name} has {outputs}; use bitsandbytes or magnitude",
            )
