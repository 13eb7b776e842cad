"""What the numbers say, in sentences that are made from them and name what they rest on."""

from collections.abc import Iterator

from analysis.report.evidence import Evidence
from analysis.report.findings.attacks import attack_section
from analysis.report.findings.caveats import caveat_section
from analysis.report.findings.compressions import compression_section
from analysis.report.findings.doses import dose_section
from analysis.report.findings.fronts import front_sections
from analysis.report.findings.interactions import interaction_section
from analysis.report.findings.judges import judge_section
from analysis.report.findings.prices import price_section
from analysis.report.findings.statement import Section
from analysis.report.findings.summary import summary_section


def findings(evidence: Evidence) -> list[Section]:
    """All that the records support; sections without a statement are left out."""
    return [section for section in _sections(evidence) if section.findings]


def _sections(evidence: Evidence) -> Iterator[Section]:
    if evidence.records.ok.is_empty():
        return
    yield summary_section(evidence)
    yield from front_sections(evidence)
    yield attack_section(evidence)
    yield price_section(evidence)
    yield dose_section(evidence)
    yield compression_section(evidence)
    yield interaction_section(evidence)
    yield judge_section(evidence)
    yield caveat_section(evidence)
