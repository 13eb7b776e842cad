"""Asks exported folders as a stranger would: by the code of their cards, without this project.

`python -I stranger.py FOLDERS.json`, with a JSON object from folders to batches of prompts, prints
as its last line the same object with answers for prompts.
"""

import json
import multiprocessing
import os
import re
import sys
from pathlib import Path
from typing import Any

# what every card imports, once
import torch  # noqa: F401
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM  # noqa: F401

OURS = {"grid", "trainables", "search_spaces", "analysis", "tests"}
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class _NotInstalled:
    """Makes the project, which the tests' environment holds, one that is not there."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name.partition(".")[0] in OURS:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)


def ask(folder: str, batches: list[list[str]]) -> list[list[str]]:
    """Run the card's code in the folder and let it answer."""
    os.chdir(folder)
    names: dict[str, Any] = {}
    for block in BLOCK.findall(Path("README.md").read_text(encoding="utf-8")):
        exec(block, names)
    answers = [names["answers"](prompts) for prompts in batches]
    loaded = {name.partition(".")[0] for name in sys.modules}
    assert loaded.isdisjoint(OURS), loaded & OURS
    return answers


if __name__ == "__main__":
    sys.meta_path.insert(0, _NotInstalled())
    questions = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    # each folder has a process of its own, because some libraries change others when imported
    with multiprocessing.get_context("fork").Pool(1, maxtasksperchild=1) as processes:
        answers = processes.starmap(ask, questions.items(), chunksize=1)
    print("\n" + json.dumps(dict(zip(questions, answers, strict=True))))
