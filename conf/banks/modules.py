"""Python in a bank's folder: what its declarations can't say, its own views and its own models."""

from __future__ import annotations

import importlib.util
import sys
from hashlib import sha256
from pathlib import Path
from types import ModuleType


class BankModuleError(ValueError):
    """A Python file of a bank's folder can't be used; the message names it and what is wrong."""


def bank_module(path: Path) -> ModuleType:
    """The module in a file of a bank's folder, executed anew when the file has changed.

    Raises ``BankModuleError`` when it can't be imported.
    """
    kept = (path, path.read_bytes())
    if kept not in _LOADED:
        _LOADED[kept] = _executed(path)
    return _LOADED[kept]


_LOADED: dict[tuple[Path, bytes], ModuleType] = {}


def _executed(path: Path) -> ModuleType:
    name = f"strata_bank_{sha256(str(path).encode()).hexdigest()[:12]}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise BankModuleError(f"{path}: is no Python module")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their own module up while they are being made.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as wrong:
        raise BankModuleError(f"{path}: can't be imported: {type(wrong).__name__}: {wrong}") from wrong
    return module
