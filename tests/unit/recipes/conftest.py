"""Scripts of the recipes as tests import them."""

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

RECIPES = Path(__file__).parents[3] / "recipes"


@pytest.fixture
def recipe(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], ModuleType]:
    """Imports a script of the folders that a test names in ``RECIPE_FOLDERS``.

    A script finds its neighbours by their plain names.
    """
    for folder in request.module.RECIPE_FOLDERS:
        monkeypatch.syspath_prepend(str(RECIPES / folder))
    return importlib.import_module
