"""Refuses what could not judge: a missing model, unknown labels."""

import json
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path

from search_spaces.judges import ClassifierJudge, Judge, model_of


def judge_problems(judge: Judge, field: str) -> Iterator[tuple[str, str]]:
    """What the judge cannot do, by field; nothing is known of a model that is not here."""
    model = model_of(judge)
    if model is None or not model.is_local:
        return
    folder = Path(model.path)
    config = folder / "config.json"
    if not config.is_file():
        what = "no such folder" if not folder.is_dir() else "it has no config.json"
        yield f"{field}model.path", f"{folder}: {what}; allowed: a Hugging Face model folder"
    elif isinstance(judge, ClassifierJudge):
        labels = json.loads(config.read_text(encoding="utf-8")).get("id2label", {})
        problem = label_problem(judge, labels)
        if problem:
            yield f"{field}labels", problem


def label_problem(judge: ClassifierJudge, id2label: Mapping[object, str]) -> str | None:
    """How the judge's labels and the model's differ; None where they fit.

    `id2label`: as in the model's config.json, where two labels that are not named there are
    LABEL_0 and LABEL_1.
    """
    known = list(id2label.values()) or ["LABEL_0", "LABEL_1"]
    named = [reading.label for reading in judge.labels]
    for label in named:
        if label not in known:
            close = get_close_matches(label, known, n=1)
            hint = f"did you mean '{close[0]}'? " if close else ""
            return f"the model has no label '{label}'; {hint}it has: {', '.join(known)}"
    left = [label for label in known if label not in named]
    if left and judge.threshold is None:
        return f"what do {', '.join(left)} say? Name every label, or a threshold and `otherwise`"
    return None
