"""``python -m moola_losses RECORD.json`` prints a report of the doctor that was saved."""

from __future__ import annotations

import argparse
import sys

from moola_losses.doctor_report import DoctorReport
from moola_losses.doctor_table import doctor_table


def main(arguments: list[str] | None = None) -> int:
    """Prints a saved report.

    Args:
        arguments: Of the command line; None: those of the process.

    Returns:
        0 if the report holds no verdict, 1 if it does, 2 if there is no such report.
    """
    parser = argparse.ArgumentParser(
        prog="python -m moola_losses", description="Prints a report of the doctor."
    )
    parser.add_argument("record", metavar="RECORD.json", help="what DoctorReport.save wrote")
    path = parser.parse_args(arguments).record
    try:
        report = DoctorReport.load(path)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print(doctor_table(report))
    return 1 if report.verdicts else 0


if __name__ == "__main__":
    sys.exit(main())
