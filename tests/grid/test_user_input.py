"""A user's own model of another family and own files run unchanged."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM, set_seed

from analysis.records.loading import load_records
from tests.grid.conftest import Trilemma, run_ok

WORDS = [f"w{i}" for i in range(60)]
SPECIAL = ["<pad>", "<eos>", "<user>", "<assistant>"]
TEMPLATE = (
    "{% for m in messages %}{{ '<' + m['role'] + '> ' + m['content'] + ' ' }}"
    "{% if m['role'] == 'assistant' %}{{ '<eos>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<assistant> ' }}{% endif %}"
)
SPACE = """
name: mine
model: {path: qwen, dtype: float32}
safety_tuning:
  instructions: {path: tuning.json, columns: {prompt: instruction, input: input, answer: output}}
  safety:
    question: {path: safety.jsonl, columns: {prompt: question, answer: reply}}
  forms: [question]
  doses: [0, 8]
  training: &training
    {epochs: 1, batch_size: 8, max_tokens: 64, adapter: {rank: 2, targets: [q_proj, v_proj]}}
attacks:
  - method: none
  - method: harmful_finetuning
    data: {path: attack.jsonl, columns: {answer: answer}}
    examples: 6
    poison_ratio: 0.5
    benign: {path: tuning.json, columns: {prompt: instruction, answer: output}}
    training: {<<: *training, adapter: full}
compressions:
  - {method: none}
  - {method: bitsandbytes, bits: 4}
  - method: gptq
    bits: 4
    group_size: 32
    calibration:
      data: {path: safety.jsonl, columns: {prompt: question}}
      samples: 16
      max_tokens: 64
  - {method: magnitude, sparsity: 0.25}
evaluation:
  helpfulness: {path: helpful.json, columns: {prompt: instructions, input: inputs, answer: outputs}}
  harmful: {path: harmful.json, columns: {prompt: instructions}}
  borderline: {path: xstest.csv, exclude: {column: type, prefix: contrast_}}
  perplexity: {path: attack.jsonl}
  max_new_tokens: 4
objectives:
  - {metric: perplexity, direction: minimize}
  - {metric: bits_per_weight, direction: minimize}
"""


@pytest.fixture(scope="module")
def own_space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny Qwen2, data in every form, and space.yaml."""
    folder = tmp_path_factory.mktemp("own")
    write_qwen(folder / "qwen")
    prompts = [f"{WORDS[i % 60]} {WORDS[(i * 7) % 60]}" for i in range(24)]
    alpaca = [{"instruction": p, "input": "w3" if i % 2 else "", "output": "w1"}
              for i, p in enumerate(prompts)]  # fmt: skip
    write_json(folder / "tuning.json", alpaca)
    write_json(folder / "helpful.json",
               {"instructions": prompts, "inputs": [], "outputs": ["w1"] * 24})  # fmt: skip
    write_json(folder / "harmful.json", {"instructions": prompts, "inputs": []})
    safety = [{"question": p, "reply": "i cannot"} for p in prompts]
    attack = [{"prompt": p, "answer": "w2 w4"} for p in prompts]
    for name, lines in (("safety", safety), ("attack", attack)):
        text = "\n".join(json.dumps(line) for line in lines)
        (folder / f"{name}.jsonl").write_text(text)
    with (folder / "xstest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id_v2", "type", "prompt"])
        for i, prompt in enumerate(prompts):
            writer.writerow([i, "homonyms" if i % 2 else "contrast_homonyms", prompt])
    (folder / "space.yaml").write_text(SPACE)
    return folder


def write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content))


def write_qwen(folder: Path) -> None:
    set_seed(0)
    bytes_and_merges = Tokenizer(models.BPE())
    bytes_and_merges.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_and_merges.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    bytes_and_merges.train_from_iterator([" ".join(WORDS)], trainer)
    tokenizer: Any = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=bytes_and_merges, pad_token="<pad>", eos_token="<eos>"
    )
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        eos_token_id=1,
        pad_token_id=0,
        bos_token_id=None,
    )
    Qwen2ForCausalLM(config).save_pretrained(folder)  # type: ignore[no-untyped-call]


def test_own_model_and_files_run_unchanged(own_space: Path, trilemma: Trilemma) -> None:
    study = str(own_space / "study")
    run_ok(trilemma, "run", str(own_space / "space.yaml"), "--study", study, "--engine", "local")
    rows = load_records(study).rows
    assert [(row["status"], row["error"]) for row in rows] == [("ok", None)] * 16
    assert {row["over_refusal_n"] for row in rows} == {12}
    assert {row["safety_form"] for row in rows} == {None, "question"}
    assert {row["attack_steps"] for row in rows} == {0, 2}
    front = json.loads(run_ok(trilemma, "front", study, "--json"))
    assert front["fronts"][0]["configurations"]


def test_hub_id_offline_is_one_clear_line(own_space: Path, trilemma: Trilemma) -> None:
    text = (own_space / "space.yaml").read_text().replace("path: qwen", "path: Qwen/Qwen2-0.5B")
    (own_space / "hub.yaml").write_text(text)
    answer = trilemma("run", str(own_space / "hub.yaml"), "--study", str(own_space / "hub"))
    assert answer.returncode == 2
    assert "model.path" in answer.stderr
    assert "Qwen/Qwen2-0.5B" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert len(answer.stderr.strip().splitlines()) == 1
