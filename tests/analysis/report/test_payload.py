"""Data in a page: JSON that neither ends its script nor changes on the way."""

import base64
import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.report.payload import json_text, packed
from tests.analysis.report.studies import HOSTILE

TEXTS = st.one_of(st.text(), st.sampled_from(HOSTILE))


@given(st.recursive(TEXTS | st.integers() | st.none(), st.lists))
def test_any_value_comes_back_and_holds_no_markup(value: object) -> None:
    text = json_text(value)
    assert json.loads(text) == value
    assert not any(letter in text for letter in "<>&\u2028\u2029")


@given(TEXTS)
def test_what_is_packed_comes_back(value: str) -> None:
    content = packed(json_text(value))
    assert json.loads(gzip.decompress(base64.b64decode(content))) == value


def test_a_number_that_json_lacks_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_text(float("nan"))
