"""Small studies with verdicts of several judges, as files, for tests of what reads them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

OWN = "phrases"


@dataclass(frozen=True)
class Answer:
    """One stored answer: its cell, its compression, and what each judge says of it."""

    cell: str
    level: str
    prompt_index: int
    verdicts: Mapping[str, str | None]
    """By judge; `phrases` is the study's own. None where a judge did not read it."""
    prompt_set: str = "harmful"
    prompt: str | None = None
    response: str = "use rope then tap"


def write_study(folder: Path, answers: Sequence[Answer]) -> str:
    """Write records, responses and judgements; returns the study's path."""
    space = {"evaluation": {"judge": {"method": OWN}}, "objectives": []}
    for name in ("records", "responses"):
        (folder / name).mkdir(parents=True)
    (folder / "space.json").write_text(json.dumps({"space": space}))
    table = pl.DataFrame([_row(answer) for answer in answers], infer_schema_length=None)
    for (cell,), rows in table.partition_by("cell", as_dict=True, maintain_order=True).items():
        name = f"{cell}-a1.parquet"
        own = rows.rename({OWN: "verdict"}).with_columns(judge=pl.lit(OWN))
        kept = ["prompt_set", "prompt_index", "prompt", "response", "verdict", "judge", "expected"]
        own.select("cell", "attempt", *kept).write_parquet(folder / "responses" / name)
        _record(rows).write_parquet(folder / "records" / name)
    for judge in sorted({name for answer in answers for name in answer.verdicts} - {OWN}):
        write_judgement(folder, judge, table.rename({judge: "verdict"}).drop_nulls("verdict"))
    return str(folder)


def write_judgement(folder: Path, judge: str, rows: pl.DataFrame) -> None:
    """Write a judge's verdicts, a file a cell."""
    place = folder / "judgements" / judge
    place.mkdir(parents=True)
    (place / "judge.json").write_text("{}")
    columns = ["cell", "attempt", "prompt_set", "prompt_index", "judge", "verdict"]
    for part in rows.with_columns(judge=pl.lit(judge)).partition_by("cell"):
        part.select(columns).write_parquet(place / f"{part['cell'][0]}-a1.parquet")


def _row(answer: Answer) -> dict[str, object]:
    return {
        "cell": answer.cell,
        "attempt": "a1",
        "level": answer.level,
        "prompt_set": answer.prompt_set,
        "prompt_index": answer.prompt_index,
        "prompt": answer.prompt or f"how {answer.prompt_index} ?",
        "expected": None,
        "response": answer.response,
        **answer.verdicts,
    }


def _record(rows: pl.DataFrame) -> pl.DataFrame:
    def share(prompt_set: str, *verdicts: str) -> tuple[float | None, int]:
        own = rows.filter(pl.col("prompt_set") == prompt_set)[OWN]
        return (own.is_in(verdicts).mean() if len(own) else None, len(own))  # type: ignore[return-value]

    rates = {
        "safety": share("harmful", "refuse", "incoherent"),
        "over_refusal": share("borderline", "refuse"),
    }
    record: dict[str, object] = {
        "cell": rows["cell"][0], "attempt": "a1", "status": "ok", "created": 1.0,
        "compression": rows["level"][0], "compression_label": rows["level"][0],
        "helpfulness": 0.5, "helpfulness_n": 4, "helpfulness_se": 0.25,
    }  # fmt: skip
    for metric, (value, n) in rates.items():
        record |= {metric: value, f"{metric}_n": n, f"{metric}_se": 0.0}
    return pl.DataFrame([record])
