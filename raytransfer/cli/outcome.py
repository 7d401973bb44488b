"""How a command ends: its exit code, and one line on stderr for what the user can mend."""

import re
import sys
from collections.abc import Callable

from raytransfer.errors import InputError, WorkFailedError
from raytransfer.terminal import say_error

WORK_FAILED, INPUT_ERROR, INTERRUPTED = 1, 2, 130


def reported(work: Callable[[], int]) -> int:
    """Do the work; say in one line on stderr what the user can mend, and return the exit code."""
    try:
        return work()
    except (InputError, WorkFailedError) as error:
        say_error(re.sub(r"\s*\n\s*", " ", str(error).strip()))  # spaces may be those of a path
        return INPUT_ERROR if isinstance(error, InputError) else WORK_FAILED
    except (IsADirectoryError, NotADirectoryError, PermissionError) as error:
        say_error(f"{error.filename or 'a file'} cannot be used: {error.strerror or error}")
        return INPUT_ERROR
    except KeyboardInterrupt:
        print("interrupted: what was finished is kept, the same command goes on from there", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        from raytransfer.storage.files import is_storage_error

        if not is_storage_error(error):
            raise
        say_error(
            f"the storage takes or gives nothing now ({error}): nothing that was finished is lost; once it "
            "does, the same command goes on"
        )
        return WORK_FAILED
