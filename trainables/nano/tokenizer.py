"""The word-level tokenizer of the nano world and its chat template."""

from collections.abc import Iterable

from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import PreTrainedTokenizerFast

PAD, BEGIN, END, UNKNOWN = "<pad>", "<s>", "</s>", "<unk>"
MAXIMUM_TOKENS = 64
ROLES = ("<system>", "<user>", "<assistant>")

# Words are split at blanks, so a prompt has the same tokens with and without its completion.
CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{{ ' <' + message['role'] + '> ' + message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ ' ' + eos_token }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ ' <assistant>' }}{% endif %}"
)


def build_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """A tokenizer that knows each blank-separated word of these texts."""
    words = sorted({word for text in texts for word in text.split()})
    special = (PAD, BEGIN, END, UNKNOWN, *ROLES)
    vocabulary = {token: at for at, token in enumerate((*special, *words))}
    model = Tokenizer(WordLevel(vocabulary, unk_token=UNKNOWN))
    model.pre_tokenizer = WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # not annotated there
        tokenizer_object=model,
        pad_token=PAD,
        bos_token=BEGIN,
        eos_token=END,
        unk_token=UNKNOWN,
        additional_special_tokens=list(ROLES),
        clean_up_tokenization_spaces=False,
        padding_side="left",
        model_max_length=MAXIMUM_TOKENS,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer
