"""What faults cost, for the table of docs/cluster.md."""

import json
import os


def record(fault: str, **figures: float) -> None:
    """Write what a fault cost, as a line of JSON, where RAYTRANSFER_FIGURES names a file."""
    line = json.dumps({"fault": fault, **{name: round(value, 1) for name, value in figures.items()}})
    print(line)
    if path := os.environ.get("RAYTRANSFER_FIGURES"):
        with open(path, "a") as file:
            file.write(f"{line}\n")
