"""What other packages import without need: loaded when something of it is used."""

import sys
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from types import ModuleType
from typing import Any


class _LazyModule(ModuleType):
    """Stands for a module until an attribute of it is asked for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # the import system's own questions
            raise AttributeError(name)
        return getattr(_loaded(self.__name__), name)


def import_lazily(
    *names: str, functions: tuple[str, ...] = (), decorators: tuple[str, ...] = ()
) -> None:
    """Let ``import`` of modules cost nothing until an attribute of them is asked for.

    Args:
        names: of the modules, a package before what is in it; one that is imported already is left
            alone.
        functions: of the last module, that may be imported by name and load it when called.
        decorators: of the last module, that load it when what they decorate is called.
    """
    for name in names:
        if name in sys.modules:
            continue
        module = sys.modules[name] = _LazyModule(name)
        package, _, own_name = name.rpartition(".")
        if isinstance(sys.modules.get(package), _LazyModule):
            setattr(sys.modules[package], own_name, module)
    last = sys.modules[names[-1]]
    if isinstance(last, _LazyModule):
        for name in functions:
            setattr(last, name, _late_function(last.__name__, name))
        for name in decorators:
            setattr(last, name, _late_decorator(last.__name__, name))


def _late_function(module: str, name: str) -> Callable[..., Any]:
    def call(*arguments: Any, **named: Any) -> Any:
        return getattr(_loaded(module), name)(*arguments, **named)

    return call


def _late_decorator(module: str, name: str) -> Callable[..., Any]:
    def decorate(function: Callable[..., Any] | None, *how: Any, **named: Any) -> Any:
        if function is None:  # called with settings alone: the function comes next
            return lambda decorated: decorate(decorated, *how, **named)

        @wraps(function)
        def call(*arguments: Any, **others: Any) -> Any:
            decorated = getattr(_loaded(module), name)(function, *how, **named)
            return decorated(*arguments, **others)

        return call

    return decorate


def _loaded(name: str) -> ModuleType:
    """The real module, in place of what stands for it and for the packages around it."""
    parts = name.split(".")
    for length in range(1, len(parts) + 1):
        part = ".".join(parts[:length])
        if isinstance(sys.modules.get(part), _LazyModule):
            del sys.modules[part]
    return import_module(name)
