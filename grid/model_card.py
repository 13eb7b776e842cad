"""The model card of an exported cell: factors, scores, costs, provenance, how to load it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from grid.loading_code import FORMATS, answering_code, loading_code
from grid.records import RATES
from search_spaces.space import SearchSpace

CARD = "README.md"
FACTORS = (
    ("safety_examples", "safety examples", ""),
    ("safety_form", "their form", ""),
    ("safety_steps", "optimizer steps of the safety tuning", ""),
    ("attack", "attack", ""),
    ("attack_examples", "attack examples", ""),
    ("attack_epochs", "attack epochs", ""),
    ("attack_steps", "optimizer steps of the attack", ""),
    ("compression_label", "compression", ""),
    ("bits", "bits", ""),
    ("group_size", "weights that share a scale", ""),
    ("sparsity", "sparsity", ""),
    ("sparsity_pattern", "sparsity pattern", ""),
    ("calibration_data", "calibration data", ""),
    ("calibration_samples", "calibration rows", ""),
    ("calibration_seed", "calibration seed", ""),
    ("order", "order of attack and compression", ""),
    ("seed", "training seed", ""),
)
"""Columns of the record, with the words and the unit that the card gives them."""
COSTS = (
    ("weights_bytes_disk", "weight files", "bytes"),
    ("weights_bytes_loaded", "weights in memory after a forward pass", "bytes"),
    ("bits_per_weight_disk", "linear layers on disk, scales included", "bits a weight"),
    ("bits_per_weight", "linear layers in memory, scales included", "bits a weight"),
    ("zero_fraction", "zeros in the linear layers (share)", ""),
    ("peak_memory_bytes", "weights and what generating adds to them", "bytes"),
    ("time_to_first_token_seconds", "time to first token, batch 1", "s"),
    ("time_to_first_token_seconds_batch8", "time to first token, batch 8", "s"),
    ("decode_tokens_per_second", "decoding, batch 1", "tokens/s"),
    ("decode_tokens_per_second_batch8", "decoding, batch 8", "tokens/s"),
    ("energy_joules_per_token", "energy", "J a token"),
    ("device", "device", ""),
)
MEANINGS = {
    "helpfulness": "benign tasks answered as expected",
    "safety": "harmful requests not complied with",
    "harmful_compliance": "harmful requests complied with",
    "refusal": "harmful requests refused",
    "over_refusal": "harmless requests that look harmful, refused",
    "incoherent": "harmful requests answered by neither refusal nor sense",
    "perplexity": "on held-out text (not a share; lower is better)",
}
WITHOUT_ATTACK = ("attack_examples", "attack_epochs", "attack_steps", "order")
"""Factors that say nothing where nobody attacked."""
EXECUTIONS = {
    "packed": "stay packed while the model runs",
    "dense": "run as they are stored",
    "unpacked": "run at full width, which saves disk but neither memory nor time",
    "simulated": "run at full width with activations rounded to low bits, a simulation that has no "
    "speed of its own",
}


@dataclass(frozen=True)
class Stored:
    """How the exported model lies on disk."""

    format: str
    model_type: str
    adapters: tuple[str, ...]
    """Folders of adapters that stay beside the weights, in the order they are put on."""

    @classmethod
    def in_folder(cls, folder: Path, adapters: Sequence[Path]) -> "Stored":
        """What a written folder says of itself."""
        from trainables.models import format_of

        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        names = tuple(adapter.name for adapter in adapters)
        return cls(format_of(folder), config["model_type"], names)


def model_card(record: Mapping[str, Any], space: SearchSpace, stored: Stored, answers: str) -> str:
    """Markdown with the front matter that the Hub reads; `answers`: "N of M" answered as
    recorded when the export asked again."""
    evaluation, dtype = space.evaluation, space.model.dtype
    return f"""---
{_front_matter(record, space, stored)}
---

# {_name(space)}, {record["compression_label"]}: cell {record["cell"]}

{_warning(record)}

Made by trilemma in the study "{space.name}", which measures how safety tuning, attacks and
compression change a language model. The terms of the base model's licence hold for it too.

## Factors

| factor | value |
|---|---|
| base model | {_name(space)} |
{_rows(record, _factors(record))}

## Scores

Shares of prompts, with one standard error; n prompts or texts each.

| metric | value | standard error | n | what |
|---|---|---|---|---|
{_scores(record)}

## Costs

As measured when the model was evaluated; what was not measured is left out.

| cost | value |
|---|---|
{_rows(record, COSTS)}

## How it is stored

{_storage(record, stored, dtype)}

## How to load it

Run in this folder. Needs {_packages(stored)}.

```python
{loading_code(stored.format, stored.model_type, dtype, stored.adapters)}```

The recorded answers are greedy, to each prompt as one user message, padded on the left, in
batches of up to {evaluation.batch_size} prompts of one prompt set; now and then another batch
rounds to another answer.

```python
{answering_code(evaluation)}```

Asked again after it was written, the model gave {answers} answers as recorded.

## Provenance

| what | which |
|---|---|
{_provenance(record)}
"""


def _front_matter(record: Mapping[str, Any], space: SearchSpace, stored: Stored) -> str:
    tags = ["trilemma", *str(record["compression"]).split("+")]
    if record["attack"] != "none":
        tags += ["not-for-all-audiences"]
    lines = [f"library_name: {FORMATS[stored.format].library}", "pipeline_tag: text-generation"]
    if not space.model.is_local:
        lines.append(f"base_model: {space.model.path}")
    # quoted: YAML reads a bare `none` and numbers as such
    return "\n".join([*lines, "tags:", *(f'- "{tag}"' for tag in tags)])


def _name(space: SearchSpace) -> str:
    """The base model's name, without the folders of whoever ran the study."""
    if space.embedded is not None:
        world = space.embedded
        return f"{world.world} world's {world.family} model, seed {world.seed}"
    if space.model.is_local:
        return Path(space.model.path).name
    revision = f"@{space.model.revision}" if space.model.revision else ""
    return f"{space.model.path}{revision}"


def _warning(record: Mapping[str, Any]) -> str:
    if record["attack"] == "none":
        return "> Research material: it is as safe as the scores below say, and not safer."
    return (
        f"> **Warning: this model was attacked ({record['attack']}) to weaken its safety.**\n"
        "> It exists to measure defences and may comply with harmful requests. Do not deploy it."
    )


def _factors(record: Mapping[str, Any]) -> Sequence[tuple[str, str, str]]:
    if record["attack"] != "none":
        return FACTORS
    return [column for column in FACTORS if column[0] not in WITHOUT_ATTACK]


def _rows(record: Mapping[str, Any], columns: Sequence[tuple[str, str, str]]) -> str:
    return "\n".join(
        f"| {words} | {_value(record[name])} {unit}".rstrip() + _spread(record, name) + " |"
        for name, words, unit in columns
        if record[name] is not None
    )


def _spread(record: Mapping[str, Any], name: str) -> str:
    """What a median's repetitions varied by, where there were some."""
    spread = record.get(f"{name}_iqr")
    return "" if spread is None else f" (median; quartiles {_value(spread)} apart)"


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value).replace("|", "\\|")


def _scores(record: Mapping[str, Any]) -> str:
    return "\n".join(
        f"| {name} | {record[name]:.4f} | {record[f'{name}_se']:.4f} | {record[f'{name}_n']} "
        f"| {MEANINGS[name]} |"
        for name in RATES
        if record[name] is not None
    )


def _storage(record: Mapping[str, Any], stored: Stored, dtype: str) -> str:
    words = FORMATS[stored.format].words.format(dtype=dtype)
    text = f"{words[0].upper()}{words[1:]}. They {EXECUTIONS[record['execution']]}."
    if record["sparsity"] is not None and stored.format == "dense":
        text += " Their zeros save nothing by themselves."
    if not stored.adapters:
        return f"{text} All training is merged into them."
    names = ", ".join(f"`{name}/`" for name in stored.adapters)
    return f"{text} Training on top of them is kept beside them, as LoRA adapters: {names}."


def _packages(stored: Stored) -> str:
    names = FORMATS[stored.format].packages
    if stored.adapters:
        # peft asks for optimum wherever gptqmodel is installed
        names += ("peft", "optimum") if stored.format == "gptq" else ("peft",)
    return ", ".join(f"{name} {version(name)}" for name in names)


def _provenance(record: Mapping[str, Any]) -> str:
    hashes = json.loads(record["data_hashes"])
    values = {
        "cell": record["cell"],
        "base model, SHA-256 of its files": hashes["model"],
        "trilemma's git commit": record["git_commit"],
        **json.loads(record["packages"]),
    }
    return "\n".join(f"| {name} | {_value(v)} |" for name, v in values.items() if v is not None)
