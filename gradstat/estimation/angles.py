"""A check that kernels can compute every sine and cosine of a case."""

from typing import Any

import numpy as np

from gradstat.errors import UsageError
from gradstat.layer_types.case import Case
from gradstat.layer_types.expression.domain import points_of
from gradstat.numerics.elementary import LARGEST_ANGLE


class _Angles(np.ndarray[Any, Any]):
    """An array that notes the arguments of sine and cosine in `found`, which it shares with all results."""

    found: list[Any]

    def __array_finalize__(self, source: Any) -> None:
        self.found = getattr(source, "found", [])

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        plain = [value.view(np.ndarray) if isinstance(value, _Angles) else value for value in inputs]
        if ufunc in (np.sin, np.cos):
            self.found.append(plain[0])
        return self._with_angles(getattr(ufunc, method)(*plain, **options))

    def __array_function__(self, function: Any, types: Any, arguments: Any, options: Any) -> Any:
        return self._with_angles(super().__array_function__(function, types, arguments, options))

    def _with_angles(self, values: Any) -> Any:
        result = np.asarray(values).view(_Angles)
        result.found = self.found
        return result


def check_angles(case: Case) -> None:
    """Raise UsageError if an x that can be drawn leads to an angle that kernels cannot reduce."""
    if not case.layer.elementwise:
        return
    points = points_of(case.x, case.x.law.drawn)
    x = points.view(_Angles)
    x.found = []
    with np.errstate(all="ignore"):
        case.layer.kernel(case.params)(x, *case.constants)
    for angles in x.found:
        sizes = np.abs(np.broadcast_to(angles, points.shape))
        if sizes.max() > LARGEST_ANGLE:
            at = int(np.argmin(np.where(sizes > LARGEST_ANGLE, np.abs(points - case.x.mean), np.inf)))
            raise UsageError(
                f"{case.layer_label}: cannot be sampled: sin and cos take angles within {LARGEST_ANGLE:g}, "
                f"and the angle is {sizes[at]:.3g} at x = {points[at]:.3g}; x is {case.x.label()}",
                "use a smaller mean or std",
            )
