"""What `compact` says."""

from collections.abc import Sequence

from rich.filesize import decimal
from rich.table import Table

from grid.compaction import Compacted

COLUMNS = ("files before", "after", "size before", "after")


def compaction_table(reports: Sequence[Compacted]) -> Table:
    """Files and bytes of each folder, before and after."""
    table = Table(title="Compacted")
    table.add_column("folder")
    for column in COLUMNS:
        table.add_column(column, justify="right")
    for report in reports:
        table.add_row(
            report.folder,
            str(report.files_before),
            str(report.files_after),
            decimal(report.bytes_before),
            decimal(report.bytes_after),
        )
    return table


def compaction_notes(reports: Sequence[Compacted]) -> list[str]:
    """What was not packed, and where it lies."""
    moved = [name for report in reports for name in report.quarantined]
    notes = [f"an unreadable file was moved to {name}" for name in moved]
    left = sum(report.left for report in reports if report.folder == "responses")
    if left:
        notes.append(f"{left} files of answers have no record and were left as they are")
    return notes
