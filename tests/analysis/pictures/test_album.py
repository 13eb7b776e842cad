"""The list of all pictures has what the records have, and nothing else."""

from analysis.pictures import album
from analysis.records.loading import Records
from search_spaces.space import Objective
from tests.analysis.pictures.reading import texts
from tests.analysis.tables import records_of

OBJECTIVES = [
    Objective(metric="helpfulness", direction="maximize"),
    Objective(metric="weights_bytes_loaded", direction="minimize"),
]


def test_a_study_has_every_picture_under_its_own_name(records: Records) -> None:
    pictures = list(album(records, replicates=50))
    names = [name for name, _ in pictures]
    assert len(set(names)) == len(names)
    assert {
        "front-helpfulness-safety", "front-panels", "ranking", "parallel", "heatmap-safety",
        "dose-harmful_compliance", "attack-over_refusal", "price-weights_bytes_loaded",
    } < set(names)  # fmt: skip
    assert all(figure.layout.title.text for _, figure in pictures)


def test_a_published_table_has_what_it_can_have() -> None:
    rows = [
        {"cell": str(n), "helpfulness": 0.5 + n / 10, "weights_bytes_loaded": 100 * n,
         "helpfulness_se": 0.02, "bits": 2 * n}
        for n in range(1, 4)
    ]  # fmt: skip
    pictures = dict(album(records_of(rows, OBJECTIVES), replicates=50))
    names = list(pictures)
    assert pictures["heatmap-helpfulness"].layout.yaxis.ticktext == ("6 bits", "4 bits", "2 bits")
    assert "front-helpfulness-weights_bytes_loaded" in names
    assert not any(name.startswith(("price", "attack", "dose")) for name in names)


def test_each_device_has_a_front_of_its_own() -> None:
    rows = [
        {"cell": f"{n}{device}", "device": device, "helpfulness": n / 4, "weights_bytes_loaded": n}
        for n in range(1, 4)
        for device in ("cpu", "NVIDIA H200")
    ]
    pictures = dict(album(records_of(rows, OBJECTIVES), replicates=20))
    assert "Measured on NVIDIA H200." in texts(pictures["ranking-nvidia-h200"])
    assert "Measured on cpu." in texts(pictures["front-panels-cpu"])
