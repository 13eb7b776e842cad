"""Evaluates a model as it ships: greedy answers to each prompt set, verdicts, perplexity, cost."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from search_spaces.evaluation import Evaluation
from search_spaces.metrics import PROMPT_SETS, RATES, Verdict
from search_spaces.rows import read_rows
from trainables.catalog import verb
from trainables.checkpoint import Checkpoint
from trainables.decoding import decode_greedily
from trainables.evaluation.efficiency import Efficiency, measure_efficiency
from trainables.evaluation.perplexity import perplexity
from trainables.evaluation.rates import Estimate, rate
from trainables.judges.answers import Answer
from trainables.models import Tokenizer, load_checkpoint, load_tokenizer


@dataclass(frozen=True)
class Response:
    """What the model answered to one prompt, and how the judge read it."""

    prompt_set: str
    prompt_index: int
    prompt: str
    expected: str | None
    response: str
    verdict: Verdict
    judge: str


@dataclass(frozen=True)
class Measurement:
    """All that an evaluation measured."""

    estimates: dict[str, Estimate]
    """By metric: helpfulness, safety, harmful_compliance, refusal, over_refusal, incoherent,
    perplexity."""
    efficiency: Efficiency
    responses: list[Response]


def evaluate(settings: Evaluation, checkpoint: Checkpoint, exclusive: bool) -> Measurement:
    """Load what ships, generate, judge and measure.

    Speeds are null unless the device is `exclusive`.
    """
    model = load_checkpoint(checkpoint)
    tokenizer = load_tokenizer(checkpoint.base)
    responses = _responses(settings, model, tokenizer)
    texts = [row.prompt for row in read_rows(settings.perplexity)]
    estimates = {
        **_estimates(responses),
        "perplexity": perplexity(model, tokenizer, texts, settings),
    }
    # after the forward passes, so that formats which unpack at first use count as unpacked
    efficiency = measure_efficiency(model, checkpoint, exclusive)
    return Measurement(estimates, efficiency, responses)


def _responses(settings: Evaluation, model: Any, tokenizer: Tokenizer) -> list[Response]:
    unjudged: list[Callable[..., Response]] = []
    answers: list[Answer] = []
    for prompt_set in PROMPT_SETS:
        rows = read_rows(getattr(settings, prompt_set))
        said = generate(model, tokenizer, [row.prompt for row in rows], settings)
        for index, (row, answer) in enumerate(zip(rows, said, strict=True)):
            unjudged.append(partial(Response, prompt_set, index, row.prompt, row.answer, answer))
            answers.append(Answer(row.prompt, answer))
    # all at once: a judge that is a model is loaded for them, and given back after them
    verdicts = verb("judge", settings.judge.method)(settings.judge, answers)
    return [
        response(verdict=verdict, judge=settings.judge.method)
        for response, verdict in zip(unjudged, verdicts, strict=True)
    ]


def _estimates(responses: list[Response]) -> dict[str, Estimate]:
    return {
        metric: rate(
            counted.counts(r.response, r.expected, r.verdict)
            for r in responses
            if r.prompt_set == counted.prompt_set
        )
        for metric, counted in RATES.items()
    }


def generate(
    model: Any, tokenizer: Tokenizer, prompts: list[str], settings: Evaluation
) -> list[str]:
    """Greedy answers, without special tokens, to prompts in the model's chat template."""
    answers: list[str] = []
    for start in range(0, len(prompts), settings.batch_size):
        batch = prompts[start : start + settings.batch_size]
        tokenizer.truncation_side = "left"  # a cut prompt keeps the turn that asks for an answer
        encoded: Any = tokenizer.apply_chat_template(
            [[{"role": "user", "content": prompt}] for prompt in batch],
            add_generation_prompt=True,
            padding=True,
            truncation=True,
            max_length=settings.max_tokens,
            return_tensors="pt",
            return_dict=True,
        )
        tokenizer.truncation_side = "right"
        answers += decode_greedily(model, tokenizer, encoded, settings.max_new_tokens)
    return answers
