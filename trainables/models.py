"""Loads tokenizers, and models as they are stored: dense or packed, with their adapters."""

import gc
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from peft import PeftModel
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging
from transformers.utils.hub import cached_file

from search_spaces.sources import ModelSource
from search_spaces.stored_format import AUTOGPTQ_CONFIG, DENSE, stored_format
from trainables.catalog import CatalogKind, verb
from trainables.checkpoint import Checkpoint
from trainables.packed_adapters import with_adapters

ALPACA_TEMPLATE = (
    "{% for message in messages %}{% if message['role'] == 'user' %}"
    "{{ '### Instruction:\n' + message['content'] + '\n\n### Response:\n' }}"
    "{% else %}{{ message['content'] + eos_token }}{% endif %}{% endfor %}"
)
"""Safety-Tuned LLaMAs' and Alpaca's prompt, as a chat template."""

Tokenizer = PreTrainedTokenizerBase

logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def device() -> torch.device:
    """The GPU that this worker owns, or the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def free_device_memory() -> None:
    """Give back what is no longer needed: models that libraries tie in cycles stay until then."""
    if torch.cuda.is_available():
        # a collection takes a third of a second in a process that holds these libraries, and on
        # a CPU the interpreter's own is soon enough
        gc.collect()
        torch.cuda.empty_cache()


def load_tokenizer(source: ModelSource) -> Tokenizer:
    """The model's tokenizer, padding on the left, with the template that the source names.

    Raises ValueError if `chat` is asked for and the tokenizer has no template.
    """
    tokenizer: Tokenizer = AutoTokenizer.from_pretrained(source.path, revision=source.revision)
    if source.prompt_template == "alpaca":
        tokenizer.chat_template = ALPACA_TEMPLATE
    if tokenizer.chat_template is None:
        raise ValueError(
            f"{source.path}: the tokenizer has no chat template; set model.prompt_template: alpaca"
        )
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "left"
    return tokenizer


def load_checkpoint(checkpoint: Checkpoint) -> PreTrainedModel:
    """The checkpoint's model on this worker's device, ready to generate.

    Adapters are merged into dense weights; on compressed weights they stay beside them, because
    merging would undo the compression.
    """
    return _with_adapters(_load(checkpoint, "format"), checkpoint)


def load_trainable(checkpoint: Checkpoint) -> PreTrainedModel:
    """As `load_checkpoint`, on kernels that pass gradients on to a new adapter."""
    return _with_adapters(_load(checkpoint, "trainable_format"), checkpoint)


def _with_adapters(model: Any, checkpoint: Checkpoint) -> PreTrainedModel:
    if ships_as_it_is(checkpoint):
        model = with_adapters(model, checkpoint.adapters)
    else:
        for adapter in checkpoint.adapters:
            model = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()
    model.eval()
    loaded: PreTrainedModel = model
    return loaded


def _load(checkpoint: Checkpoint, kind: CatalogKind) -> Any:
    base = checkpoint.base
    if checkpoint.full is not None:
        return _load_stored(checkpoint.full, base.dtype, None, kind)
    return _load_stored(base.path, base.dtype, base.revision, kind)


def ships_as_it_is(checkpoint: Checkpoint) -> bool:
    """True if the weights are compressed already, here or by whoever published them."""
    return checkpoint.compressed or (
        checkpoint.full is None
        and format_of(checkpoint.base.path, checkpoint.base.revision) != DENSE
    )


def stored_folder(checkpoint: Checkpoint) -> Path:
    """Where the files of the checkpoint's model lie, adapters aside."""
    base = checkpoint.base
    if checkpoint.full is not None or base.is_local:
        return checkpoint.full or Path(base.path)
    return _downloaded(base.path, base.revision)


def load_model(path: str | Path, dtype: str, revision: str | None = None) -> Any:
    """The model of a folder or Hub id as it is stored: packed weights stay packed.

    Raises KeyError for a quantization that no method here can read.
    """
    return _load_stored(path, dtype, revision, "format")


def _load_stored(path: str | Path, dtype: str, revision: str | None, kind: CatalogKind) -> Any:
    width = getattr(torch, dtype)
    stored_as = format_of(path, revision)
    if stored_as == DENSE:
        model: Any = AutoModelForCausalLM.from_pretrained(path, revision=revision, dtype=width)
        return model.to(device()).eval()
    folder = Path(path) if Path(path).is_dir() else _downloaded(str(path), revision)
    return verb(kind, stored_as)(folder, width)


def format_of(path: str | Path, revision: str | None = None) -> str:
    """How a model's weights are stored: its quantization's name, or `dense`."""
    config, _ = PretrainedConfig.get_config_dict(path, revision=revision)
    # transformers, which does not look for it, would fill the model with random weights
    beside = cached_file(
        path,
        AUTOGPTQ_CONFIG,
        revision=revision,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )
    return stored_format(config, beside is not None)


def write_dense(checkpoint: Checkpoint, folder: Path) -> None:
    """Write the checkpoint's merged model and tokenizer as an ordinary Hugging Face folder."""
    load_checkpoint(checkpoint).save_pretrained(folder)
    load_tokenizer(checkpoint.base).save_pretrained(folder)


def _downloaded(repository: str, revision: str | None) -> Path:
    """The folder of a Hub repository in the local cache, downloaded if need be."""
    return Path(snapshot_download(repository, revision=revision))
