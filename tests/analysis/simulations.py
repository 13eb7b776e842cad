"""Studies with a known truth: answers drawn from rates that are known exactly.

Doses x attacks x compressions x training seeds, every cell asked the same prompts. On the logit
scale an answer's rate is additive in the factors, a random effect of the prompt, one of the trained
checkpoint (the whole plot: dose x attack x seed) and one of the cell, plus any interaction given.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import expit

from analysis.records.configurations import Floats
from analysis.records.loading import FACTORS, Records
from search_spaces.metrics import RATES, Metric, PromptSet, Verdict
from search_spaces.space import DEFAULT_OBJECTIVES

Answers = NDArray[np.bool_]
"""Whether an answer counts: (doses, attacks, compressions, seeds, prompts)."""


@dataclass(frozen=True)
class Layout:
    """What is crossed."""

    doses: tuple[int, ...] = (0, 30, 100, 300, 1000)
    attacks: tuple[int, ...] = (0, 10, 30, 100)
    """Rows of the harmful fine-tuning, three epochs each; 0 is no attack."""
    compressions: tuple[str, ...] = ("none", "llm.int8", "nf4", "gptq 4", "gptq 3", "gptq 2")
    seeds: int = 3
    prompts: int = 128

    @property
    def shape(self) -> tuple[int, int, int]:
        """Doses, attacks, compressions."""
        return len(self.doses), len(self.attacks), len(self.compressions)


@dataclass(frozen=True)
class Truth:
    """Log-odds of one rate. A level without an effect has 0; effects without a level are unused."""

    intercept: float = 0.0
    dose: tuple[float, ...] | None = None
    attack: tuple[float, ...] | None = None
    compression: tuple[float, ...] | None = None
    interaction: Floats | None = None
    """Added: anything that broadcasts to (doses, attacks, compressions)."""
    prompt_sd: float = 1.0
    checkpoint_sd: float = 0.3
    cell_sd: float = 0.0

    def log_odds(self, layout: Layout) -> Floats:
        """Of the average prompt and checkpoint: (doses, attacks, compressions)."""
        total = np.full(layout.shape, self.intercept)
        for axis, effect in enumerate((self.dose, self.attack, self.compression)):
            if effect is not None:
                levels = np.zeros(layout.shape[axis])
                levels[: len(effect)] = effect[: len(levels)]
                total += np.reshape(levels, [-1 if axis == n else 1 for n in range(3)])
        return total if self.interaction is None else total + self.interaction

    def rates(self, layout: Layout) -> Floats:
        """Over all prompts and checkpoints there could be: (doses, attacks, compressions)."""
        nodes, weights = np.polynomial.hermite_e.hermegauss(40)
        spread = np.sqrt(self.prompt_sd**2 + self.checkpoint_sd**2 + self.cell_sd**2)
        shares = expit(self.log_odds(layout)[..., None] + spread * nodes)
        return np.asarray(shares @ weights / weights.sum())

    def answers(self, layout: Layout, rng: np.random.Generator) -> Answers:
        """One study's answers, with prompts and checkpoints of its own."""
        shape = (*layout.shape, layout.seeds, layout.prompts)
        checkpoints = rng.normal(0, self.checkpoint_sd, (*shape[:2], 1, shape[3], 1))
        cells = rng.normal(0, self.cell_sd, (*shape[:4], 1))
        prompts = rng.normal(0, self.prompt_sd, shape[4:])
        log_odds = self.log_odds(layout)[..., None, None] + checkpoints + cells + prompts
        return np.asarray(rng.random(shape) < expit(log_odds))


HARM = Truth(
    intercept=3.0,
    dose=(0.0, -1.0, -2.5, -4.0, -5.5),
    attack=(0.0, 1.0, 2.5, 5.0),
    compression=(0.0, 0.0, 0.2, -0.2, 0.4, -0.6),
)
"""Safety examples lower the harm, attacks restore it; saturated at both ends, additive in logit."""
HELPFULNESS = Truth(intercept=3.0, compression=(0.0, 0.0, -0.3, -0.2, -1.5, -3.0))
OVER_REFUSAL = Truth(intercept=-4.0, dose=(0.0, 0.5, 1.5, 2.5, 3.0), attack=(0.0, -0.5, -1.5, -3.0))


@dataclass(frozen=True)
class Simulation:
    """A study of simulated answers."""

    layout: Layout = field(default_factory=Layout)
    truths: Mapping[PromptSet, Truth] = field(
        default_factory=lambda: {
            "helpfulness": HELPFULNESS,
            "harmful": HARM,
            "borderline": OVER_REFUSAL,
        }
    )
    """By prompt set, the rate of what it counts: exact answers, compliance, refusals."""

    def records(self, rng: np.random.Generator) -> Records:
        """The study in memory, as `load_records` would return it."""
        table, responses = self._tables(rng)
        empty = pl.DataFrame(schema=dict(FACTORS))
        records = Records(
            pl.concat([empty, table], how="diagonal_relaxed"),
            DEFAULT_OBJECTIVES,
            [],
            ("simulated",),
        )
        # what the cached property would read from the source
        vars(records)["responses"] = responses.with_columns(study=pl.lit("simulated"))
        return records

    def write(self, study: Path, rng: np.random.Generator) -> None:
        """The study as a folder of Parquet files, a record and its responses a cell."""
        table, responses = self._tables(rng)
        for folder in ("records", "responses"):
            (study / folder).mkdir(parents=True)
        declared = [objective.model_dump() for objective in DEFAULT_OBJECTIVES]
        (study / "space.json").write_text(json.dumps({"space": {"objectives": declared}}))
        for (cell,), rows in responses.group_by("cell"):
            rows.write_parquet(study / "responses" / f"{cell}-a.parquet")
        for row in table.drop("study").iter_slices(1):
            row.write_parquet(study / "records" / f"{row['cell'][0]}-a.parquet")

    def _tables(self, rng: np.random.Generator) -> tuple[pl.DataFrame, pl.DataFrame]:
        cells = _cells(self.layout)
        asked = {name: truth.answers(self.layout, rng) for name, truth in self.truths.items()}
        flat = {name: answers.reshape(len(cells), -1) for name, answers in asked.items()}
        rates = [column for name, rows in flat.items() for column in _rates(name, rows)]
        return cells.with_columns(rates), pl.concat(
            [_responses(name, cells["cell"], rows) for name, rows in flat.items()]
        )


def _cells(layout: Layout) -> pl.DataFrame:
    """One row a cell, in the order of the answers' axes."""
    rows = []
    for dose in layout.doses:
        for examples in layout.attacks:
            for rank, label in enumerate(layout.compressions):
                method, _, bits = label.partition(" ")
                for seed in range(layout.seeds):
                    row = {
                        "study": "simulated",
                        "model": "simulated",
                        "safety_examples": dose,
                        "safety_form": "instruction" if dose else None,
                        "attack": "harmful_finetuning" if examples else "none",
                        "attack_examples": examples,
                        "attack_epochs": 3 if examples else 0,
                        "compression": method,
                        "compression_label": label,
                        "bits": int(bits) if bits else None,
                        "order": "attack_then_compress",
                        "configuration": f"{dose}-{examples}-{label}",
                        "cell": f"{dose}-{examples}-{rank}-{seed}",
                        "attempt": "a",
                        "created": 0.0,
                        "status": "ok",
                        "error": None,
                        "seed": seed,
                        "calibration_seed": None,
                        "device": "cpu",
                        "packages": "{}",
                        "git_commit": None,
                        "weights_bytes_loaded": 180_000 - 20_000 * rank,
                    }
                    rows.append(row)
    return pl.DataFrame(rows, schema_overrides=FACTORS | {"git_commit": pl.String})


def _rates(prompt_set: PromptSet, counted: Answers) -> list[pl.Series]:
    """The record columns of every rate over a prompt set; (cells, prompts)."""
    columns = []
    for metric, rate in RATES.items():
        if rate.prompt_set == prompt_set:
            share = _share(metric, counted)
            prompts = counted.shape[1]
            error = np.sqrt(share * (1 - share) / max(prompts - 1, 1))
            columns += [
                pl.Series(metric, share),
                pl.Series(f"{metric}_n", np.full(len(share), prompts)),
                pl.Series(f"{metric}_se", error),
            ]
    return columns


def _share(metric: Metric, counted: Answers) -> Floats:
    # no simulated answer is incoherent: what does not comply refuses
    if metric == "incoherent":
        return np.zeros(len(counted))
    share = counted.mean(axis=1)
    return np.asarray(1 - share if metric in ("safety", "refusal") else share)


def _responses(prompt_set: PromptSet, cells: pl.Series, counted: Answers) -> pl.DataFrame:
    prompts = counted.shape[1]
    number = np.tile(np.arange(prompts), len(cells))
    flat = counted.ravel()
    counts, otherwise = _verdicts(prompt_set)
    return pl.DataFrame(
        {
            "cell": np.repeat(cells.to_numpy(), prompts),
            "attempt": "a",
            "prompt_set": prompt_set,
            "prompt_index": number,
            "prompt": pl.Series(number).cast(pl.String),
            "expected": "yes" if prompt_set == "helpfulness" else None,
            "response": pl.Series(flat).replace_strict({True: "yes", False: "no"}),
            "verdict": pl.Series(flat).replace_strict({True: counts, False: otherwise}),
            "judge": "simulated",
        },
        schema_overrides={"prompt_index": pl.Int64, "expected": pl.String},
    )


def _verdicts(prompt_set: PromptSet) -> tuple[Verdict, Verdict]:
    """How an answer reads that counts, and one that does not."""
    return ("refuse", "comply") if prompt_set == "borderline" else ("comply", "refuse")
