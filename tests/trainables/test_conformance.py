"""One suite a kind, run over every method of the catalog; a method without examples fails.

Compressions have a file of their own.
"""

import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import TypeAdapter

from search_spaces.attacks import Attack
from search_spaces.evaluation import Evaluation
from search_spaces.judges import Judge
from search_spaces.metrics import Verdict
from search_spaces.rows import read_rows
from search_spaces.safety_tuning import SafetyDose
from search_spaces.space import SearchSpace
from tests.trainables.conftest import SHORT, Ship, contents, same_weights, write_rows
from tests.trainables.examples import SUITES, cases, named
from trainables.catalog import CATALOG, CatalogKind, verb
from trainables.checkpoint import ADAPTER, FULL, Checkpoint
from trainables.evaluation.generation import Measurement
from trainables.evaluation.speed import PROMPT_TOKENS, UNMEASURED
from trainables.finetuning import UNTRAINED, TrainingFacts, finetune
from trainables.judges.answers import Answer


@pytest.mark.parametrize("kind", SUITES)
def test_every_method_of_the_catalog_has_examples(kind: CatalogKind) -> None:
    assert set(SUITES[kind]) == set(CATALOG[kind])


@pytest.mark.parametrize("kind", CATALOG)
def test_every_verb_of_the_catalog_is_there(kind: CatalogKind) -> None:
    assert all(callable(verb(kind, method)) for method in CATALOG[kind])


def test_misspelt_method_names_the_nearest() -> None:
    with pytest.raises(KeyError, match="did you mean 'gptq'"):
        verb("compression", "gptqq")


RESPONSES = ("", "use rope", "I cannot .", "blim " * 50, "\u2019\n\x00", "use rope", "{prompt} {")


@pytest.mark.parametrize(("method", "example"), cases("judge"), ids=named)
def test_judge_decides_every_answer_by_itself(
    judge_models: dict[str, str], method: str, example: dict[str, Any]
) -> None:
    given = {"method": method} | example
    if method in judge_models:
        given["model"] = {"path": judge_models[method], "dtype": "float32"}
    settings: Judge = TypeAdapter(Judge).validate_python(given)
    judge = verb("judge", method)
    answers = [Answer("how ?", response) for response in RESPONSES]
    verdicts = list(judge(settings, answers))
    assert set(verdicts) <= set(get_args(Verdict))
    assert verdicts[0] == verdicts[3] == "incoherent"
    assert [verdict for one in answers for verdict in judge(settings, [one])] == verdicts
    assert list(judge(settings, reversed(answers))) == verdicts[::-1]
    assert list(judge(settings, [])) == []


@pytest.mark.parametrize(("method", "example"), cases("safety_tuning"), ids=named)
def test_safety_tuning(
    nano: SearchSpace,
    checkpoint: Checkpoint,
    tmp_path: Path,
    method: str,
    example: dict[str, Any],
) -> None:
    tuning = nano.safety_tuning
    instructions = write_rows(tmp_path / "rows.jsonl", read_rows(tuning.instructions)[:10])
    form = example.get("form", "instruction") if example["examples"] else None
    settings = SafetyDose(
        instructions=instructions,
        safety=tuning.safety[form] if form else None,
        form=form,
        examples=example["examples"],
        training=SHORT,
    )
    assert settings.method == method
    runs = []
    for name, seed in (("one", 0), ("same", 0), ("other", 1)):
        facts = verb("safety_tuning", method)(settings, checkpoint, tmp_path / name, seed)
        runs.append((facts, contents(tmp_path / name, "*.safetensors")))
    assert runs[0] == runs[1] != runs[2]
    assert runs[0][0].examples == 10 + example["examples"]
    assert runs[0][0].optimizer_steps == 2
    assert not same_weights(checkpoint.extended(tmp_path / "one"), checkpoint)


@pytest.fixture(scope="module")
def attacked(
    nano: SearchSpace, checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory
) -> Checkpoint:
    """A checkpoint that holds an adapter already, as after safety tuning."""
    folder = tmp_path_factory.mktemp("tuned")
    finetune(checkpoint, read_rows(nano.safety_tuning.instructions)[:16], SHORT, folder, seed=1)
    return checkpoint.extended(folder)


def attack_settings(nano: SearchSpace, method: str, example: dict[str, Any]) -> Any:
    own = next(a for a in nano.attacks if a.method == method).model_dump()
    if method != "none":
        own |= {"examples": 12, "training": SHORT}
        own["benign"] = nano.safety_tuning.instructions if "poison_ratio" in example else None
        if method != "harmful_finetuning":
            del own["benign"]
    return TypeAdapter(Attack).validate_python(own | example)


@pytest.mark.parametrize(("method", "example"), cases("attack"), ids=named)
def test_attack(
    nano: SearchSpace, attacked: Checkpoint, tmp_path: Path, method: str, example: dict[str, Any]
) -> None:
    settings = attack_settings(nano, method, example)
    before = contents(Path(attacked.base.path)) | contents(attacked.adapters[0])
    attack = verb("attack", method)
    runs = []
    for name, seed in (("one", 0), ("same", 0), ("other", 1)):
        folder = tmp_path / name
        folder.mkdir()
        facts = attack(settings, attacked, folder, seed)
        assert isinstance(facts, TrainingFacts)
        runs.append((facts, contents(folder, "*.safetensors"), attacked.extended(folder)))
    (facts, files, result), (facts_again, files_again, _), (_, other_files, _) = runs
    after = contents(Path(attacked.base.path)) | contents(attacked.adapters[0])
    assert after == before
    assert (facts, files) == (facts_again, files_again)
    if method == "none":
        assert facts == UNTRAINED
        assert (files, result) == ({}, attacked)
        return
    mixed = 24 if "poison_ratio" in example else 12
    assert facts.examples == mixed
    assert facts.optimizer_steps == math.ceil(mixed / 8)
    assert facts.final_loss is not None
    assert facts.final_loss > 0
    assert files
    assert files != other_files
    assert (tmp_path / "one" / (FULL if example.get("training") else ADAPTER)).is_dir()
    assert not same_weights(result, attacked)


@pytest.fixture(scope="module", params=cases("evaluation"), ids=lambda case: case[0])
def measurements(
    request: pytest.FixtureRequest,
    ship: Ship,
    evaluation: Evaluation,
) -> dict[bool, Measurement]:
    """What the evaluation says of the 2-bit model, by whether the device was its own."""
    method, example = request.param
    settings = evaluation.model_copy(update=example)
    checkpoint = ship("gptq", {"bits": 2}).checkpoint
    return {
        exclusive: verb("evaluation", method)(settings, checkpoint, exclusive)
        for exclusive in (True, False)
    }


def test_evaluation_counts_every_prompt(
    measurements: dict[bool, Measurement], evaluation: Evaluation
) -> None:
    estimates = measurements[False].estimates
    for name, estimate in estimates.items():
        assert estimate.n == 24
        assert estimate.value is not None
        assert estimate.se is not None
        if name == "perplexity":
            assert estimate.value > 1
            assert estimate.se > 0
        else:
            share = estimate.value
            assert 0 <= share <= 1
            assert estimate.se == pytest.approx(math.sqrt(share * (1 - share) / 24))
    for prompt_set in ("helpfulness", "harmful", "borderline"):
        rows = read_rows(getattr(evaluation, prompt_set))
        own = [r for r in measurements[False].responses if r.prompt_set == prompt_set]
        assert [(r.prompt, r.expected) for r in own] == [(row.prompt, row.answer) for row in rows]
        assert [r.prompt_index for r in own] == list(range(24))


def test_rates_of_harmful_prompts_add_up(measurements: dict[bool, Measurement]) -> None:
    values = {name: e.value or 0.0 for name, e in measurements[False].estimates.items()}
    shares = values["refusal"] + values["harmful_compliance"] + values["incoherent"]
    assert shares == pytest.approx(1)
    assert values["safety"] == pytest.approx(1 - values["harmful_compliance"])


def test_evaluation_gives_the_same_twice(measurements: dict[bool, Measurement]) -> None:
    assert measurements[True].estimates == measurements[False].estimates
    assert measurements[True].responses == measurements[False].responses


def test_speeds_are_measured_only_on_a_device_of_ones_own(
    measurements: dict[bool, Measurement],
) -> None:
    own, shared = measurements[True].efficiency, measurements[False].efficiency
    assert shared.speeds == UNMEASURED
    assert shared.peak_memory_bytes is None
    assert own.peak_memory_bytes is None or own.peak_memory_bytes > own.weights_bytes_loaded
    speeds = asdict(own.speeds)
    energy, others = (speeds.pop(n) for n in ("energy_joules_per_token", "other_processes_cpus"))
    assert energy is None or energy > 0
    assert others is None or others >= 0
    assert None not in speeds.values()
    for name, value in speeds.items():
        assert value >= 0 if name.endswith("_iqr") else value > 0


def test_speeds_agree_with_each_other(measurements: dict[bool, Measurement]) -> None:
    speeds: Any = measurements[True].efficiency.speeds
    prompt = speeds.prefill_tokens_per_second * speeds.time_to_first_token_seconds
    assert prompt == pytest.approx(min(PROMPT_TOKENS, round(prompt)))
    # a prompt is read in one pass, answers are written token by token, eight of them at once
    assert speeds.prefill_tokens_per_second > speeds.decode_tokens_per_second
    assert speeds.decode_tokens_per_second_batch8 > speeds.decode_tokens_per_second


def test_costs_do_not_depend_on_who_shares_the_device(
    measurements: dict[bool, Measurement],
) -> None:
    own, shared = (
        replace(measurements[exclusive].efficiency, speeds=UNMEASURED, peak_memory_bytes=None)
        for exclusive in (True, False)
    )
    assert own == shared
    assert own.execution == "packed"
