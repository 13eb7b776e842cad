"""Asks a causal language model of an answer, and reads what it says by patterns."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from search_spaces.judges import GenerativeJudge
from search_spaces.metrics import Verdict
from trainables.decoding import decode_greedily
from trainables.judges.answers import Answer, filled, in_batches
from trainables.judges.models import judge_tokenizer
from trainables.models import Tokenizer, free_device_memory, load_model


def judge(settings: GenerativeJudge, answers: Iterable[Answer]) -> Iterator[Verdict]:
    """Comply, refuse or incoherent, for each answer in order.

    The model is loaded with the first and given back with the last.
    """
    source = settings.model
    tokenizer = judge_tokenizer(source, "left")
    if settings.format != "raw" and tokenizer.chat_template is None:
        raise ValueError(f"{source.path}: the tokenizer has no chat template; set format: raw")
    model = load_model(source.path, source.dtype, source.revision)
    try:
        yield from in_batches(
            answers, settings.batch_size, partial(_read, settings, model, tokenizer)
        )
    finally:
        del model
        free_device_memory()


def _read(
    settings: GenerativeJudge, model: Any, tokenizer: Tokenizer, answers: Sequence[Answer]
) -> list[Verdict]:
    encoded = encode(settings, tokenizer, answers)
    said = decode_greedily(model, tokenizer, encoded, settings.max_new_tokens)
    return [_verdict(settings, text) for text in said]


def encode(settings: GenerativeJudge, tokenizer: Tokenizer, answers: Sequence[Answer]) -> Any:
    """What the model is given for each answer, as a batch of tokens."""
    texts = [_text(settings, tokenizer, _shortened(settings, tokenizer, a)) for a in answers]
    # a chat template has put them in already, and so have the templates of some model cards
    begun = settings.format != "raw" or texts[0].startswith(tokenizer.bos_token or "\0")
    return tokenizer(texts, add_special_tokens=not begun, padding=True, return_tensors="pt")


def _text(settings: GenerativeJudge, tokenizer: Tokenizer, answer: Answer) -> str:
    """What the model is given, before it is cut to tokens."""
    if settings.template is None:
        turns = [("user", answer.prompt), ("assistant", answer.response)]
    elif settings.format == "raw":
        return filled(settings.template, answer)
    else:
        turns = [("user", filled(settings.template, answer))]
    text: Any = tokenizer.apply_chat_template(
        [{"role": role, "content": content} for role, content in turns],
        add_generation_prompt=settings.format == "chat",
        tokenize=False,
    )
    return str(text)


def _shortened(settings: GenerativeJudge, tokenizer: Tokenizer, answer: Answer) -> Answer:
    tokens: Any = tokenizer(answer.response, add_special_tokens=False)["input_ids"]
    if len(tokens) <= settings.max_response_tokens:
        return answer
    (kept,) = tokenizer.batch_decode([tokens[: settings.max_response_tokens]])
    return replace(answer, response=kept)


def _verdict(settings: GenerativeJudge, said: str) -> Verdict:
    found = (reading for reading in settings.patterns if re.search(reading.pattern, said))
    first = next(found, None)
    return settings.otherwise if first is None else first.verdict
