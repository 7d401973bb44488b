"""The database of Optuna's study, looked at before a search begins."""

from raytransfer.errors import InputError
from raytransfer.storage.databases import root_cause, sqlite_path, sqlite_problem, without_passwords


def check_optuna_storage(url: str, *, own: bool) -> None:
    """Check that a database is whole and can keep Optuna's study; one that is not there is made.

    Args:
        url: The database's.
        own: Whether it is the study's own, which nobody has named.

    Raises:
        InputError: It cannot.
    """
    problem = sqlite_problem(url, "studies", may_be_empty=own)
    if problem is None:
        import optuna  # takes a second to read

        try:
            database = optuna.storages.RDBStorage(url)
            for study in database.get_all_studies():
                database.get_all_trials(study._study_id)
        except Exception as error:  # whatever the driver raises
            problem = root_cause(error)
    if problem is None:
        return
    if own:
        raise InputError(
            f"Optuna's database {sqlite_path(url)} cannot be used ({problem}): if it is damaged, move it "
            "away, and the search begins anew"
        )
    said = f"--optuna-storage {url} cannot be used ({problem}): give a database, such as sqlite:///optuna.db"
    raise InputError(without_passwords(said))
