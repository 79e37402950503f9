"""Modules that other packages import without need: loaded when something of them is used."""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class _LazyModule(ModuleType):
    """Stands for a module until an attribute of it is asked for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # the import system's own questions
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), name)


def import_lazily(name: str) -> None:
    """Let ``import`` of a module cost nothing until an attribute of it is asked for.

    Args:
        name: of the module; one that is imported already is left alone.
    """
    if name not in sys.modules:
        sys.modules[name] = _LazyModule(name)
