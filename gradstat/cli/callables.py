"""Import of the Python function that an option names, `package.module:function`."""

import importlib
import sys
from collections.abc import Callable
from typing import Any

from gradstat.errors import UsageError, quoted


def imported(path: str) -> Callable[..., Any]:
    """The callable at `package.module:name`. Imports the module, which may be in the current folder."""
    module, colon, name = path.partition(":")
    if not colon or not module or not name:
        raise UsageError(f"--callable {quoted(path)}: expected package.module:name")
    sys.path.insert(0, "")  # as `python -m` does: modules of the working directory are found
    try:
        target: Any = importlib.import_module(module)
        for part in name.split("."):
            target = getattr(target, part)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"--callable {quoted(path)}: {error}") from None
    finally:
        sys.path.remove("")
    if not callable(target):
        raise UsageError(f"--callable {quoted(path)}: is a {type(target).__name__}; expected a function")
    return target  # type: ignore[no-any-return]
