"""gradstat: how neural-network layers scale the signal they pass forward and the gradient they pass backward."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradstat.layer_types.registration import activation as activation

__version__ = "0.2.0"


def __getattr__(name: str) -> Any:
    """`gradstat.activation`, imported when it is first asked for: `import gradstat` stays cheap."""
    if name == "activation":
        from gradstat.layer_types.registration import activation

        return activation
    raise AttributeError(f"module 'gradstat' has no attribute {name!r}")
