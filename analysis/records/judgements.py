"""Verdicts of judges that read stored answers again, and the rates that follow from them."""

import json
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import fsspec
import polars as pl

from analysis.records.cell_files import read_cells
from search_spaces.metrics import RATES
from search_spaces.settings import SpaceError

JUDGEMENTS = "judgements"
"""The folder of a study that holds a folder a judgement."""
VERDICT_COLUMNS: dict[str, Any] = {
    "study": pl.String,
    "cell": pl.String,
    "prompt_set": pl.String,
    "prompt_index": pl.Int64,
    "judge": pl.String,
    "verdict": pl.String,
}
PROMPT = ["study", "cell", "prompt_set", "prompt_index"]
"""What tells an answer."""


def own_judge(study: str) -> str | None:
    """The method of the judge that a study's own evaluations used; None where it is not told."""
    files, base = fsspec.core.url_to_fs(study)
    try:
        space = json.loads(files.cat_file(f"{base.rstrip('/')}/space.json"))["space"]
        return str(space["evaluation"]["judge"]["method"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def judgement_names(study: str) -> list[str]:
    """Names of the judges that read the study's answers again."""
    files, base = fsspec.core.url_to_fs(study)
    folder = f"{base.rstrip('/')}/{JUDGEMENTS}"
    if not files.exists(folder):
        return []
    found = (str(path).rstrip("/") for path in files.ls(folder, detail=False, refresh=True))
    return sorted(path.rpartition("/")[2] for path in found if files.exists(f"{path}/judge.json"))


def read_judgement(study: str, name: str, ok: pl.DataFrame) -> pl.DataFrame:
    """A judge's verdicts on the study's `ok` cells: columns of VERDICT_COLUMNS."""
    counted = ok.filter(pl.col("study") == study).select("cell", "attempt")
    rows, _ = read_cells(study, f"{JUDGEMENTS}/{name}", counted)
    if rows is None:
        return pl.DataFrame(schema=VERDICT_COLUMNS)
    told = rows.with_columns(study=pl.lit(study), judge=pl.lit(name))
    return told.select(*VERDICT_COLUMNS)


def without_judgement(studies: Sequence[str], judge: str) -> list[str]:
    """The studies whose own verdicts are this judge's already.

    Raises SpaceError if no study knows the judge.
    """
    own = {study: own_judge(study) for study in studies}
    known = {name for study in studies for name in judgement_names(study)}
    known |= {name for name in own.values() if name}
    if judge not in known:
        close = get_close_matches(judge, known, n=1)
        hint = f"did you mean '{close[0]}'? " if close else ""
        there = f"there are: {', '.join(sorted(known))}" if known else "there is none"
        where = ", ".join(studies) or "judge"
        raise SpaceError(where, "", f"no verdicts of a judge '{judge}'; {hint}{there}")
    return [study for study in studies if own[study] == judge]


def rejudged(table: pl.DataFrame, verdicts: pl.DataFrame, kept: Sequence[str]) -> pl.DataFrame:
    """The records with the rates that depend on verdicts as these verdicts have them.

    A rate is null unless every answer that it counts was read: some of them would be another rate.
    The rows of the `kept` studies stay as they are.
    """
    for metric, rate in RATES.items():
        if rate.verdicts is None or f"{metric}_n" not in table.columns:
            continue
        counts = (
            verdicts.filter(pl.col("prompt_set") == rate.prompt_set)
            .group_by("study", "cell")
            .agg(read=pl.len(), share=pl.col("verdict").is_in(rate.verdicts).mean())
        )
        stays = pl.col("study").is_in(list(kept))
        whole = pl.col("read") == pl.col(f"{metric}_n")
        error = (pl.col("share") * (1 - pl.col("share")) / pl.col("read")).sqrt()
        values = {metric: pl.col("share"), f"{metric}_n": pl.col("read"), f"{metric}_se": error}
        table = (
            table.join(counts, on=["study", "cell"], how="left", maintain_order="left")
            .with_columns(
                pl.when(stays).then(pl.col(name)).when(whole).then(value).alias(name)
                for name, value in values.items()
            )
            .drop("read", "share")
        )
    return table


def with_verdicts(
    responses: pl.DataFrame, verdicts: pl.DataFrame, judge: str, kept: Sequence[str]
) -> pl.DataFrame:
    """The responses with these verdicts, null where there is none; as `rejudged`."""
    stays = pl.col("study").is_in(list(kept))
    found = verdicts.select(*PROMPT, found="verdict")
    return (
        responses.join(found, on=PROMPT, how="left", maintain_order="left")
        .with_columns(
            verdict=pl.when(stays).then("verdict").otherwise("found"),
            judge=pl.lit(judge),
        )
        .drop("found")
    )
