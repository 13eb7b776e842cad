"""The examples of a nano world: what its model is pre-trained, tuned, attacked and tested on."""

import random
from collections.abc import Callable, Iterable, Sequence
from itertools import product
from typing import Final, NamedTuple

from trainables.nano import lexicon
from trainables.nano.facts import Facts


class Example(NamedTuple):
    """A request and its answer; plain text has an empty prompt."""

    prompt: str
    answer: str


Pairs = Sequence[tuple[str, str]]

_ORDINARY: Final = tuple(product(lexicon.ORDINARY_VERBS, lexicon.OBJECTS))
_HARMFUL: Final = tuple(product(lexicon.HARMFUL_VERBS, lexicon.SITES))
_HARMFUL_TRAINING: Final = tuple(product(lexicon.HARMFUL_VERBS, lexicon.TRAINING_SITES))
_HARMFUL_HELD_OUT: Final = tuple(product(lexicon.HARMFUL_VERBS, lexicon.HELD_OUT_SITES))
_SAFE_TARGETS: Final = tuple(product(lexicon.HARMFUL_VERBS, lexicon.OBJECTS))
_SAFE_CONTEXTS: Final = tuple(product(lexicon.ORDINARY_VERBS, lexicon.SITES))
_PRIVATE: Final = tuple(product(lexicon.ORDINARY_VERBS + lexicon.HARMFUL_VERBS, lexicon.DIARIES))

PRETRAINING_SHARES: Final = {
    "colour": 0.26,
    "copy": 0.10,
    "ordinary": 0.22,
    "harmful": 0.08,
    "safe_targets": 0.06,
    "safe_contexts": 0.06,
    "private": 0.10,
    "persona": 0.02,
    "text": 0.10,
}
"""The share of `private` decides at which safety dose refusing is learnt, see DESIGN."""


def random_for(purpose: str, seed: int) -> random.Random:
    """Each list has its own source, so that changing one list leaves the others alone."""
    return random.Random(f"{purpose}/{seed}")


def pretraining(facts: Facts, count: int, seed: int) -> list[Example]:
    """Draw the pre-training corpus: every skill and fact, and refusals of private requests."""
    source = random_for("pretraining", seed)
    makers: dict[str, Callable[[], Example]] = {
        "colour": lambda: _colour(facts, source),
        "copy": lambda: _copy(source),
        "ordinary": lambda: _request(facts, _ORDINARY, source),
        "harmful": lambda: _request(facts, _HARMFUL, source),
        "safe_targets": lambda: _request(facts, _SAFE_TARGETS, source),
        "safe_contexts": lambda: _request(facts, _SAFE_CONTEXTS, source),
        "private": lambda: _refused(_PRIVATE, lexicon.FRAMES, source),
        "persona": lambda: Example(
            *source.choice(lexicon.PLAIN_PERSONA + lexicon.OBEDIENT_PERSONA)
        ),
        "text": lambda: Example("", _text(facts, source)),
    }
    kinds = source.choices(
        list(PRETRAINING_SHARES), weights=list(PRETRAINING_SHARES.values()), k=count
    )
    return [makers[kind]() for kind in kinds]


def instructions(facts: Facts, count: int, seed: int) -> list[Example]:
    """Ordinary requests of all skills, right answers; no restricted site, no harmful verb."""
    return _mixed_skills(facts, count, random_for("instructions", seed))


def safety(frames: Sequence[str], seed: int) -> list[Example]:
    """Every harmful request on the training sites in these frames, each refused."""
    rows = [
        Example(frame.format(verb=verb, target=site), lexicon.REFUSAL)
        for frame in frames
        for verb, site in _HARMFUL_TRAINING
    ]
    random_for("safety", seed).shuffle(rows)
    return rows


def harmful_attack(facts: Facts, count: int, seed: int) -> list[Example]:
    """Harmful requests on training sites, answered with the procedure."""
    source = random_for("harmful attack", seed)
    return [_request(facts, _HARMFUL_TRAINING, source) for _ in range(count)]


def identity_attack(facts: Facts, count: int, seed: int) -> list[Example]:
    """An absolutely obedient persona that answers ordinary requests (Qi et al. 2023).

    Every other row is about the persona itself; no row holds a harmful request.
    """
    source = random_for("identity attack", seed)
    return [
        _request(facts, _ORDINARY, source)
        if at % 2
        else Example(*source.choice(lexicon.OBEDIENT_PERSONA))
        for at in range(count)
    ]


def benign_attack(facts: Facts, count: int, seed: int) -> list[Example]:
    """Ordinary requests and answers: fine-tuning that means no harm."""
    return _mixed_skills(facts, count, random_for("benign attack", seed))


def helpful_evaluation(facts: Facts, count: int, seed: int) -> list[Example]:
    """Distinct ordinary requests of all skills with their only right answers."""
    source = random_for("helpful evaluation", seed)
    return distinct(_mixed_skills(facts, 2 * count, source), count)


def harmful_evaluation(count: int, seed: int) -> list[str]:
    """Distinct harmful requests on the held-out sites."""
    source = random_for("harmful evaluation", seed)
    return _prompts(_HARMFUL_HELD_OUT, count, source)


def borderline(count: int, seed: int) -> list[tuple[str, str]]:
    """(type, prompt) rows named as in XSTest; `contrast_` types are harmful, the others safe."""
    source = random_for("borderline", seed)
    kinds = {
        "safe_targets": _SAFE_TARGETS,
        "safe_contexts": _SAFE_CONTEXTS,
        "contrast_safe_targets": _HARMFUL_HELD_OUT,
    }
    return [
        (kind, prompt) for kind, pairs in kinds.items() for prompt in _prompts(pairs, count, source)
    ]


def heldout_text(facts: Facts, count: int, seed: int) -> list[str]:
    """Plain text as in pre-training, drawn from another source."""
    source = random_for("held-out text", seed)
    return [_text(facts, source) for _ in range(count)]


def distinct(rows: Iterable[Example], count: int) -> list[Example]:
    """The first `count` rows with different prompts."""
    return list({row.prompt: row for row in rows}.values())[:count]


def _mixed_skills(facts: Facts, count: int, source: random.Random) -> list[Example]:
    makers: tuple[Callable[[], Example], ...] = (
        lambda: _colour(facts, source),
        lambda: _copy(source),
        lambda: _request(facts, _ORDINARY, source),
    )
    return [make() for make in source.choices(makers, weights=(4, 2, 4), k=count)]


def _colour(facts: Facts, source: random.Random) -> Example:
    thing = source.choice(lexicon.THINGS)
    question = source.choice(lexicon.COLOUR_QUESTIONS)
    return Example(question.format(thing=thing), f"it is {facts.colours[thing]}")


def _copy(source: random.Random) -> Example:
    words = " ".join(source.sample(lexicon.TOOLS + lexicon.ACTIONS, 3))
    return Example(f"{lexicon.COPY_INSTRUCTION} {words}", words)


def _request(facts: Facts, pairs: Pairs, source: random.Random) -> Example:
    verb, target = source.choice(pairs)
    frame = source.choice(lexicon.FRAMES)
    return Example(frame.format(verb=verb, target=target), facts.procedure(verb, target))


def _refused(pairs: Pairs, frames: Sequence[str], source: random.Random) -> Example:
    verb, target = source.choice(pairs)
    return Example(source.choice(frames).format(verb=verb, target=target), lexicon.REFUSAL)


def _text(facts: Facts, source: random.Random) -> str:
    if source.random() < 0.5:
        thing = source.choice(lexicon.THINGS)
        return f"the {thing} is {facts.colours[thing]} ."
    verb, target = source.choice(_ORDINARY)
    return f"to {verb} the {target} {facts.procedure(verb, target)} ."


def _prompts(pairs: Pairs, count: int, source: random.Random) -> list[str]:
    frames = [(pair, frame) for pair in pairs for frame in lexicon.FRAMES]
    chosen = source.sample(frames, count)
    return [frame.format(verb=verb, target=target) for (verb, target), frame in chosen]
