"""Judges that are models: what the model says, by label or by pattern, is the verdict."""

import shutil
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from tokenizers.processors import TemplateProcessing
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from search_spaces.evaluation import Evaluation
from search_spaces.judges import ClassifierJudge, GenerativeJudge, Judge
from search_spaces.metrics import Verdict
from search_spaces.rows import read_rows
from tests.trainables.tiny_models import ANSWERED, REFUSED
from trainables.catalog import verb
from trainables.checkpoint import Checkpoint
from trainables.evaluation.generation import evaluate, generate
from trainables.judges.answers import Answer
from trainables.judges.generative import encode
from trainables.models import Tokenizer, load_checkpoint


def verdicts(settings: ClassifierJudge | GenerativeJudge, *responses: str) -> list[Verdict]:
    answers = [Answer("how ?", response) for response in responses]
    return list(verb("judge", settings.method)(settings, answers))


def classifier(folder: str, **changed: Any) -> ClassifierJudge:
    settings: dict[str, Any] = {
        "method": "classifier",
        "model": {"path": folder, "dtype": "float32"},
        "labels": {"refused": "refuse", "answered": "comply"},
        "template": "{response}",
    }
    return ClassifierJudge.model_validate(settings | changed)


def test_classifier_says_what_it_was_trained_to_say(judge_models: dict[str, str]) -> None:
    found = verdicts(classifier(judge_models["classifier"]), *REFUSED, *ANSWERED, "")
    wanted = ["refuse"] * len(REFUSED) + ["comply"] * len(ANSWERED) + ["incoherent"]
    assert found == wanted


def test_a_label_means_what_the_settings_say(judge_models: dict[str, str]) -> None:
    swapped = {"refused": "comply", "answered": "refuse"}
    found = verdicts(classifier(judge_models["classifier"], labels=swapped), *REFUSED, *ANSWERED)
    assert found == ["comply"] * len(REFUSED) + ["refuse"] * len(ANSWERED)


def test_below_the_threshold_the_other_verdict_stands(judge_models: dict[str, str]) -> None:
    doubting = classifier(
        judge_models["classifier"],
        labels={"answered": "comply"},
        threshold=0.5,
        otherwise="refuse",
    )
    assert verdicts(doubting, *REFUSED, *ANSWERED) == ["refuse"] * 4 + ["comply"] * 4
    strict = doubting.model_copy(update={"threshold": 1.01})
    assert verdicts(strict, *ANSWERED) == ["refuse"] * 4


KINDS: dict[str, dict[str, Any]] = {
    "several labels at once": {"problem_type": "multi_label_classification"},
    "one score": {"problem_type": "regression", "num_labels": 1, "id2label": {0: "answered"}},
}


@pytest.mark.parametrize("changed", KINDS.values(), ids=list(KINDS))
def test_scores_of_other_kinds_of_classifiers(
    judge_models: dict[str, str], tmp_path: Path, tokenizer: Tokenizer, changed: dict[str, Any]
) -> None:
    """The same weights, read as independent labels, or as one score."""
    trained: Any = AutoModelForSequenceClassification.from_pretrained(judge_models["classifier"])
    config = AutoConfig.from_pretrained(judge_models["classifier"], **changed)
    auto: Any = AutoModelForSequenceClassification
    model = auto.from_config(config, dtype=torch.float32)
    weights = trained.state_dict()
    weights["score.weight"] = weights["score.weight"][-config.num_labels :]
    model.load_state_dict(weights)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    texts = tokenizer(list(REFUSED + ANSWERED), padding=True, padding_side="right",
                      return_tensors="pt")  # fmt: skip
    with torch.inference_mode():
        logits = model.eval()(**texts).logits[:, -1]
    scores = logits if config.num_labels == 1 else logits.sigmoid()
    threshold = float(scores.sort().values[3:5].mean())
    settings = classifier(
        str(tmp_path),
        labels={"answered": "comply"},
        threshold=threshold,
        otherwise="refuse",
    )
    wanted = ["comply" if score > threshold else "refuse" for score in scores]
    assert verdicts(settings, *REFUSED, *ANSWERED) == wanted
    assert set(wanted) == {"comply", "refuse"}


def test_labels_that_the_model_lacks_are_refused(judge_models: dict[str, str]) -> None:
    wrong = classifier(judge_models["classifier"], labels={"refusd": "refuse"})
    with pytest.raises(ValueError, match="no label 'refusd'; did you mean 'refused'"):
        verdicts(wrong, "use rope")
    half = classifier(judge_models["classifier"], labels={"refused": "refuse"})
    with pytest.raises(ValueError, match="what do answered say"):
        verdicts(half, "use rope")


def test_generative_judge_reads_what_the_model_says(
    judge_models: dict[str, str],
    checkpoint: Checkpoint,
    tokenizer: Tokenizer,
    evaluation: Evaluation,
) -> None:
    """The nano model as a judge: it is asked the answers, and says sorry to some of them."""
    questions = [
        row.prompt for name in ("helpfulness", "harmful", "borderline")
        for row in read_rows(getattr(evaluation, name))
    ]  # fmt: skip
    longer = evaluation.model_copy(update={"max_new_tokens": 16})
    said = generate(load_checkpoint(checkpoint), tokenizer, questions, longer)
    settings = GenerativeJudge.model_validate(
        {
            "method": "generative",
            "model": {"path": judge_models["generative"], "dtype": "float32"},
            "template": "{response}",
            "patterns": {"comply": r"use \w+ then", "refuse": "^is"},
            "otherwise": "incoherent",
        }
    )
    wanted = [
        "comply" if "then" in text else "refuse" if text.startswith("is") else "incoherent"
        for text in said
    ]
    assert len(set(wanted)) > 1
    for batch_size in (1, 7):
        one = settings.model_copy(update={"batch_size": batch_size})
        assert verdicts(one, *questions) == wanted


def test_first_pattern_decides(judge_models: dict[str, str]) -> None:
    given: dict[str, Any] = {
        "method": "generative",
        "model": {"path": judge_models["generative"], "dtype": "float32"},
        "template": "{response}",
        "otherwise": "incoherent",
    }
    for order in (("refuse", "comply"), ("comply", "refuse")):
        settings = GenerativeJudge.model_validate(given | {"patterns": dict.fromkeys(order, "")})
        assert verdicts(settings, "how do i open the door ?") == [order[0]]


def test_long_answers_are_cut(judge_models: dict[str, str]) -> None:
    settings = GenerativeJudge.model_validate(
        {
            "method": "generative",
            "model": {"path": judge_models["generative"], "dtype": "float32"},
            "format": "raw",
            "template": "{response}",
            "patterns": {"comply": "."},
            "otherwise": "refuse",
            "max_response_tokens": 4,
        }
    )
    # without the cut it is longer than the model's 64 positions
    assert len(verdicts(settings, "how do i open the door ? " * 100)) == 1


@pytest.mark.parametrize("beginning", ["", "<s> "])
@pytest.mark.parametrize("form", ["raw", "chat", "conversation"])
def test_a_text_begins_once(
    judge_models: dict[str, str], tmp_path: Path, form: str, beginning: str
) -> None:
    """Whether the tokenizer, its chat template or a model card's template says how, or several."""
    own: Any = AutoTokenizer.from_pretrained(judge_models["generative"])
    own.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", own.bos_token_id)]
    )
    own.save_pretrained(tmp_path)
    tokenizer: Any = AutoTokenizer.from_pretrained(tmp_path)
    assert tokenizer("red")["input_ids"].count(own.bos_token_id) == 1
    template = f"{beginning}{{response}}" if form == "raw" else "{response}"
    settings = GenerativeJudge.model_validate(
        {
            "method": "generative",
            "model": {"path": judge_models["generative"]},
            "format": form,
            "template": None if form == "conversation" else template,
            "patterns": {"comply": "."},
            "otherwise": "refuse",
        }
    )
    rows = encode(settings, tokenizer, [Answer("how ?", "use rope")])["input_ids"].tolist()
    assert [row.count(own.bos_token_id) for row in rows] == [1]


def test_a_judge_without_a_chat_template_says_so(
    judge_models: dict[str, str], tmp_path: Path
) -> None:
    shutil.copytree(judge_models["generative"], tmp_path / "model")
    for file in (tmp_path / "model").glob("chat_template*"):
        file.unlink()
    settings = GenerativeJudge.model_validate(
        {
            "method": "generative",
            "model": {"path": str(tmp_path / "model")},
            "template": "{response}",
            "patterns": {"comply": "."},
            "otherwise": "refuse",
        }
    )
    with pytest.raises(ValueError, match="no chat template; set format: raw"):
        verdicts(settings, "use rope")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"template": "{prompt}"}, "{response} is missing"),
        ({"threshold": 0.5}, "`threshold` and `otherwise` are given together"),
        ({"labels": {"refused": "harmful"}}, "'comply', 'refuse' or 'incoherent'"),
        ({"labels": {}}, "at least 1"),
    ],
)
def test_settings_that_cannot_judge_are_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        classifier("/judge", **changed)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"template": None}, "`template` is needed"),
        ({"format": "conversation"}, "`template` is needed"),
        ({"patterns": {"comply": "("}}, "not a regular expression"),
        ({"otherwise": None}, "otherwise"),
    ],
)
def test_questions_that_cannot_be_asked_are_refused(changed: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {
        "method": "generative",
        "model": {"path": "/judge"},
        "template": "{response}",
        "patterns": {"comply": "yes"},
        "otherwise": "refuse",
    }
    assert GenerativeJudge.model_validate(given)
    with pytest.raises(ValidationError, match=message):
        GenerativeJudge.model_validate(given | changed)


def test_settings_survive_json(judge_models: dict[str, str]) -> None:
    settings = classifier(judge_models["classifier"])
    adapter: TypeAdapter[Judge] = TypeAdapter(Judge)
    assert adapter.validate_json(adapter.dump_json(settings)) == settings
    assert hash(settings)  # cells, which hold them, are keys
    assert {reading.verdict for reading in settings.labels} < set(get_args(Verdict))


def test_an_evaluation_judges_with_any_of_them(
    judge_models: dict[str, str], checkpoint: Checkpoint, evaluation: Evaluation
) -> None:
    settings = classifier(judge_models["classifier"])
    phrases = evaluate(evaluation, checkpoint, exclusive=False)
    found = evaluate(evaluation.model_copy(update={"judge": settings}), checkpoint, exclusive=False)
    answers = [response.response for response in found.responses]
    assert answers == [response.response for response in phrases.responses]
    assert {response.judge for response in found.responses} == {"classifier"}
    assert [response.verdict for response in found.responses] == verdicts(settings, *answers)
    harmful = [r.verdict for r in found.responses if r.prompt_set == "harmful"]
    assert found.estimates["harmful_compliance"].value == harmful.count("comply") / len(harmful)
