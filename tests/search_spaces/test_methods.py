"""The table of methods says what the settings and the families say."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from search_spaces import methods
from search_spaces.compressions import Compression
from search_spaces.families import FAMILIES, Family
from search_spaces.methods import MethodRow, method_table
from search_spaces.sources import DataSource

TYPES: TypeAdapter[Any] = TypeAdapter(Compression)
DATA = {"data": DataSource(path="/data/rows.json").model_dump(), "samples": 1}


@pytest.fixture(scope="module")
def rows() -> dict[str, MethodRow]:
    return {row.method: row for row in method_table()}


def settings(row: MethodRow, **changes: Any) -> Any:
    """Valid settings of the row's method."""
    written: dict[str, Any] = {"method": row.method, **changes}
    if row.calibrated:
        written["calibration"] = DATA
    return TYPES.validate_python(written)


def test_every_method_has_one_row_and_quantizers_come_first() -> None:
    assert [row.method for row in method_table()] == [
        "bitsandbytes",
        "gptq",
        "awq",
        "rtn",
        "int8_dynamic",
        "fp8",
        "hqq",
        "magnitude",
        "wanda",
        "sparsegpt",
    ]


@pytest.mark.parametrize(
    ("method", "widths"),
    [
        ("bitsandbytes", "8 4"),
        ("gptq", "8 4 3 2"),
        ("awq", "8 4 3"),
        ("rtn", "8 4 3 2"),
        ("int8_dynamic", "8"),
        ("fp8", "8"),
        ("hqq", "8 4 3 2 1"),
        ("magnitude", "0..1 2:4 4:8"),
        ("wanda", "0..1 2:4 4:8"),
        ("sparsegpt", "0..1 2:4 4:8"),
    ],
)
def test_widths_of_a_method(rows: dict[str, MethodRow], method: str, widths: str) -> None:
    assert rows[method].widths == widths


def accepts(row: MethodRow, **changes: Any) -> bool:
    try:
        settings(row, **changes)
    except ValidationError:
        return False
    return True


QUANTIZERS = [row.method for row in method_table() if "0..1" not in row.widths]
PRUNINGS = [row.method for row in method_table() if "0..1" in row.widths]


@pytest.mark.parametrize("method", QUANTIZERS)
def test_the_settings_take_the_bits_that_the_row_tells(
    rows: dict[str, MethodRow], method: str
) -> None:
    row = rows[method]
    choice = {bits for bits in range(1, 33) if accepts(row, bits=bits)}
    told = set(map(int, row.widths.split()))
    assert told == (choice or {settings(row).bits})


@pytest.mark.parametrize("method", PRUNINGS)
def test_the_settings_take_the_zeros_that_the_row_tells(
    rows: dict[str, MethodRow], method: str
) -> None:
    row = rows[method]
    shares = (0.0, 0.01, 0.5, 0.99, 1.0)
    assert [accepts(row, sparsity=share) for share in shares] == [False, True, True, True, False]
    patterns = {
        f"{n}:{m}" for m in range(1, 17) for n in range(m) if accepts(row, pattern=f"{n}:{m}")
    }
    assert patterns == set(row.widths.split()) - {"0..1"}


@pytest.mark.parametrize("method", [*QUANTIZERS, *PRUNINGS])
def test_the_row_tells_what_the_settings_need_and_allow(
    rows: dict[str, MethodRow], method: str
) -> None:
    row = rows[method]
    bits = {"bits": int(row.widths.split()[0])} if accepts(row, bits=8) else {}
    one = settings(row, **bits)
    assert row.compress_then_attack == one.trainable
    assert row.calibrated == hasattr(one, "calibration")


def test_calibrated_and_trainable_methods(rows: dict[str, MethodRow]) -> None:
    assert {name for name, row in rows.items() if row.calibrated} == {
        "gptq", "awq", "wanda", "sparsegpt",
    }  # fmt: skip
    assert {name for name, row in rows.items() if row.compress_then_attack} == {
        "bitsandbytes", "gptq", "magnitude", "wanda", "sparsegpt",
    }  # fmt: skip


def test_every_row_tells_of_every_family(rows: dict[str, MethodRow]) -> None:
    names = [family.name for family in FAMILIES]
    assert names == ["llama", "qwen2", "falcon", "gpt2", "gpt_neox", "mamba"]
    assert all(list(row.families) == names for row in rows.values())


def test_reasons_are_those_of_the_family(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = Family("odd", ("odd",), (), refused={"hqq": "round"}, untrainable={"gptq": "no gradient"})
    monkeypatch.setattr(methods, "FAMILIES", (Family("plain", ("plain",), ()), odd))
    table = {row.method: row for row in method_table()}
    refused = {name: row.families for name, row in table.items()}
    assert refused.pop("hqq") == {"plain": None, "odd": "round"}
    assert all(reasons == {"plain": None, "odd": None} for reasons in refused.values())
    untrainable = {name: row.untrainable for name, row in table.items()}
    assert untrainable.pop("gptq") == {"odd": "no gradient"}
    assert not any(untrainable.values())
