"""What a study calls a prepared data set."""

from raytransfer.data.registry import TARGETS
from raytransfer.data.targets.prepared import PREPARERS
from raytransfer.errors import InputError

OWN = "folder"
"""The kind of data set that has no name of its own."""

FAMILY = "msd/"


def study_name(dataset: str, name: str | None) -> str:
    """Return what a study calls a data set.

    Args:
        dataset: What is prepared, as `prepare` takes it.
        name: What the user calls it; None where nothing was said.

    Raises:
        InputError: A folder has no name, or the name is that of another data set: results would be taken for
            that one's.
    """
    if name is None:
        if dataset == OWN:
            raise InputError("a folder of your own needs a name: --name NAME, as a study is to call it")
        return dataset
    lower = name.lower()
    taken = (*TARGETS, *(known for known in PREPARERS if known != OWN))
    if name != dataset and (lower in taken or lower.startswith(FAMILY)):
        raise InputError(
            f"--name {name!r} is the name of another data set, and results would be taken for that one's: "
            f"give another, such as my-{lower.rpartition('/')[2]}"
        )
    return name
