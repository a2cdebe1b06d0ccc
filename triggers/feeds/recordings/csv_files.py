"""Reading CSV texts line by line: a broken row is reported and left out, the rows beside it are kept."""

from collections.abc import Iterator

from triggers.feeds.recordings.recorded import BadLine, FileFacts, FileReport, Recorded, UnreadableFile
from triggers.feeds.recordings.rows import row_reader
from triggers.feeds.recordings.tables import Table


def split_row(line: bytes) -> list[str]:
    """Return the fields of a line; quotes around them are dropped, for no field of these tables holds a comma."""
    text = line.decode("utf-8-sig", "replace").rstrip("\r\n")
    return (text.replace('"', "") if '"' in text else text).split(",")


def read_csv(lines: Iterator[bytes], table: Table, facts: FileFacts, report: FileReport) -> Iterator[Recorded]:
    """Give the events of a table.

    Args:
        lines: all lines, the header included.
        table: what its first line told.
        facts: symbol and timeframe.
        report: where rows that give no event are noted.

    Raises:
        UnreadableFile: symbol or timeframe are not known, or there are no rows.
    """
    read = None
    for number, line in enumerate(lines, start=1):
        if not line.strip() or (table.has_header and number == 1):
            continue
        row = split_row(line)
        try:
            if read is None:
                read = row_reader(table, facts, row)
            yield read(row)
        except BadLine as bad:
            report.skip(number, bad)
        except IndexError:
            report.skip(number, BadLine("broken", f"expected {len(table.columns)} columns, was {len(row)}"))
    if read is None:
        raise UnreadableFile("expected rows, found none")
