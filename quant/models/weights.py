"""Weights from files, without executing code."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .errors import WeightsError

_SHOWN = 4


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Loads a state dict into a model.

    Parameters
    ----------
    path: `.safetensors`, or a file of torch.save (`.pth`, `.pt`, `.bin`), of a state dict, or of a checkpoint that has
        one as `state_dict` or `model`. A prefix `module.` of every key (of a data-parallel model) is dropped.

    Raises
    ------
    WeightsError: the file is missing or damaged, would execute code, has missing, unknown or wrongly shaped keys, or
        values that are not finite. The model is unchanged then.
    """
    path = Path(path)
    state = _unwrapped(path, _read(path))
    expected = model.state_dict()
    optional = {key for key in expected if key.endswith("num_batches_tracked")}
    missing = [key for key in expected if key not in state and key not in optional]
    unknown = [key for key in state if key not in expected]
    if missing or unknown:
        found = ([f"lacks {_listed(missing)}"] if missing else []) + ([f"has {_listed(unknown)}"] if unknown else [])
        raise WeightsError(
            f"weights {path} are not of this {type(model).__name__}: the file {', and '.join(found)}"
            f"{' that the model has not' if unknown else ''}; give the file of the same architecture"
        )
    for key, value in state.items():
        if value.shape != expected[key].shape:
            raise WeightsError(
                f"weights {path}: {key} has shape {tuple(value.shape)}, the model's is {tuple(expected[key].shape)}; "
                "the model must have the classes and the input channels that the weights were trained for"
            )
        if not bool(torch.isfinite(value).all()):
            raise WeightsError(f"weights {path}: {key} has values that are not finite; give another checkpoint")
    model.load_state_dict(expected | state)


def _read(path: Path) -> Any:
    if not path.is_file():
        raise WeightsError(f"weights {path}: there is no such file")
    if path.suffix == ".safetensors":
        import safetensors.torch

        try:
            return safetensors.torch.load_file(path)
        except Exception as error:  # safetensors' own exception type derives from Exception alone
            raise WeightsError(f"weights {path} cannot be read ({error}); copy or download the file again") from error
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"weights {path} hold more than tensors, or are damaged; save model.state_dict() alone, or use .safetensors"
        ) from error
    except Exception as error:  # whatever damaged bytes lead the reader to: KeyError, IndexError, RuntimeError …
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise WeightsError(f"weights {path} cannot be read ({reason}); copy or download the file again") from error


def _unwrapped(path: Path, content: Any) -> dict[str, Tensor]:
    for key in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not content or not all(isinstance(it, Tensor) for it in content.values()):
        raise WeightsError(f"weights {path} are no state dict of tensors; save model.state_dict()")
    state = dict(content)
    if all(key.startswith("module.") for key in state):
        state = {key.removeprefix("module."): value for key, value in state.items()}
    return state


def _listed(keys: list[str]) -> str:
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return ", ".join(keys[:_SHOWN]) + more
