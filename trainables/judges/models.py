"""What the judges that are models share."""

from typing import Literal

from transformers import AutoTokenizer

from search_spaces.sources import StoredModel
from trainables.models import Tokenizer


def judge_tokenizer(source: StoredModel, fills: Literal["left", "right"]) -> Tokenizer:
    """The judge's tokenizer, which fills batches up on one side.

    Left, a generated answer follows its question; right, texts begin at their first position.
    """
    tokenizer: Tokenizer = AutoTokenizer.from_pretrained(source.path, revision=source.revision)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = fills
    return tokenizer
