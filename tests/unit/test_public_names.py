"""Recipes and the demo use public names only: those that ``__all__`` of a module lists."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("avsr", "avsr_frontends", "avsr_adapters")
FILES = sorted(path for folder in ("recipes", "demo") for path in (ROOT / folder).rglob("*.py"))


def imports(source: str) -> Iterator[tuple[str, str]]:
    """Module and name of every name that is imported from a package of ours."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                package, _, rest = alias.name.partition(".")
                if package in PACKAGES and rest:  # whose names come in through the back door
                    yield alias.name, "*"
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in PACKAGES:
            for alias in node.names:
                yield str(node.module), alias.name


def private(source: str) -> list[str]:
    return [
        f"{module}.{name}"
        for module, name in imports(source)
        if name not in getattr(importlib.import_module(module), "__all__", ())
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_names_are_public(path: Path) -> None:
    assert private(path.read_text(encoding="utf-8")) == []


def test_private_names_are_found() -> None:
    source = (
        "import avsr\nimport avsr.text\nfrom avsr import load, config\nfrom avsr.text import re"
    )
    assert private(source) == ["avsr.text.*", "avsr.config", "avsr.text.re"]


def test_public_names_exist() -> None:
    modules = {module for path in FILES for module, _ in imports(path.read_text(encoding="utf-8"))}
    assert len(modules) > 20
    for module in map(importlib.import_module, sorted(modules)):
        for name in module.__all__:
            assert hasattr(module, name), f"{module.__name__}.{name}"
