"""Short names of layers for pictures: parameters at their defaults are left out."""

import json
from collections.abc import Mapping
from typing import Any

from gradstat.layers.table import LAYERS, Case
from gradstat.records.views import title


def of_row(row: Mapping[str, Any]) -> str:
    """`max_pool2d(stride=1)`, and what is assumed of x and dy where that is unusual."""
    layer = LAYERS.get(row["layer"])
    defaults = {} if layer is None else {parameter.name: parameter.default for parameter in layer.parameters}
    params = {
        key: value
        for key, value in json.loads(row["params"]).items()
        if key not in defaults or _plain(value) != _plain(defaults[key]) or key == "kernel_size"
    }
    return title({**row, "params": json.dumps(params)})


def of_case(case: Case) -> str:
    """The same for a case."""
    return of_row(
        {
            "layer": case.layer.name,
            "params": case.params_json,
            "input": case.x.label(),
            "upstream": case.dy.label(),
        }
    )


def _plain(value: Any) -> str:
    return json.dumps(value)
