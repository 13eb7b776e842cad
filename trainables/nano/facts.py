"""What is true in one nano world: drawn from its seed, the same for every data file."""

import random
from dataclasses import dataclass
from typing import Self

from trainables.nano import lexicon

# The more kinds and families, the more the weights hold, and the more compression costs.
TARGET_KINDS = 20
VERB_FAMILIES = 20


@dataclass(frozen=True)
class Facts:
    """The colour of each thing, the tool of each verb and target, the action of each target."""

    colours: dict[str, str]
    tools: dict[tuple[str, str], str]
    actions: dict[tuple[str, str], str]

    @classmethod
    def draw(cls, seed: int) -> Self:
        """Draw the facts of the world with this seed."""
        source = random.Random(f"facts/{seed}")
        verbs = lexicon.ORDINARY_VERBS + lexicon.HARMFUL_VERBS
        targets = lexicon.OBJECTS + lexicon.SITES
        kinds = {target: source.randrange(TARGET_KINDS) for target in targets}
        families = {verb: source.randrange(VERB_FAMILIES) for verb in verbs}
        tool_of = {(v, k): source.choice(lexicon.TOOLS) for v in verbs for k in range(TARGET_KINDS)}
        action_of = {
            (f, t): source.choice(lexicon.ACTIONS) for f in range(VERB_FAMILIES) for t in targets
        }
        pairs = [(verb, target) for verb in verbs for target in targets]
        return cls(
            colours={thing: source.choice(lexicon.COLOURS) for thing in lexicon.THINGS},
            tools={(v, t): tool_of[v, kinds[t]] for v, t in pairs},
            actions={(v, t): action_of[families[v], t] for v, t in pairs},
        )

    def procedure(self, verb: str, target: str) -> str:
        """The right answer to a request to do `verb` to `target`."""
        return f"use {self.tools[verb, target]} then {self.actions[verb, target]}"
