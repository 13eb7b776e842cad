"""Reads an answer with a sequence classification model."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification

from search_spaces.judge_checks import label_problem
from search_spaces.judges import ClassifierJudge
from search_spaces.metrics import Verdict
from trainables.judges.answers import Answer, filled, in_batches
from trainables.judges.models import judge_tokenizer
from trainables.models import Tokenizer, device, free_device_memory

MULTI_LABEL = "multi_label_classification"


def judge(settings: ClassifierJudge, answers: Iterable[Answer]) -> Iterator[Verdict]:
    """Comply, refuse or incoherent, for each answer in order.

    The model is loaded with the first and given back with the last. Raises ValueError for labels
    that the model does not have.
    """
    source = settings.model
    model: Any = AutoModelForSequenceClassification.from_pretrained(
        source.path, revision=source.revision, dtype=getattr(torch, source.dtype)
    )
    problem = label_problem(settings, model.config.id2label)
    if problem:
        raise ValueError(f"{source.path}: {problem}")
    tokenizer = judge_tokenizer(source, "right")
    # to tell where each text of a batch ends, a decoder must know what fills it up
    model.config.pad_token_id = tokenizer.pad_token_id
    model = model.to(device()).eval()
    try:
        yield from in_batches(
            answers, settings.batch_size, partial(_read, settings, model, tokenizer)
        )
    finally:
        del model
        free_device_memory()


def _read(
    settings: ClassifierJudge, model: Any, tokenizer: Tokenizer, answers: Sequence[Answer]
) -> list[Verdict]:
    encoded = tokenizer(
        [filled(settings.template, answer) for answer in answers],
        padding=True,
        truncation=True,
        max_length=settings.max_tokens,
        return_tensors="pt",
    ).to(device())
    with torch.inference_mode():
        logits = model(**encoded).logits.float()
    labels = [model.config.id2label[i] for i in range(logits.shape[1])]
    return [
        _verdict(settings, dict(zip(labels, row, strict=True)))
        for row in _scores(model, logits).tolist()
    ]


def _scores(model: Any, logits: torch.Tensor) -> torch.Tensor:
    """(answers, labels): probabilities; of a model of one label, which has none, its output."""
    if model.config.problem_type == MULTI_LABEL:
        return logits.sigmoid()
    return logits if logits.shape[1] == 1 else logits.softmax(dim=1)


def _verdict(settings: ClassifierJudge, scores: dict[str, float]) -> Verdict:
    best = max(settings.labels, key=lambda reading: scores[reading.label])
    if settings.threshold is not None and scores[best.label] < settings.threshold:
        assert settings.otherwise is not None
        return settings.otherwise
    return best.verdict
