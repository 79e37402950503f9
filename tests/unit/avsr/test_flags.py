"""Libraries say what is wrong, and only commands know what options are called."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from avsr.cli import app, run
from avsr.commands.flags import flag, told
from avsr.errors import InputError

ROOT = Path(__file__).parents[3]
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
OF_OTHER_PROGRAMS = {
    "--error-unmatch",
    "--force-reinstall",
    "--hash",
    "--porcelain",
    "--untracked-files",
    "--tall",  # of the page's style sheet
}


def _library_files() -> list[Path]:
    folders = ("avsr", "frontends", "adapters", "demo")
    files = [file for folder in folders for file in (ROOT / folder).rglob("*.py")]
    above = (ROOT / "avsr/cli.py", *(ROOT / "avsr/commands").glob("*.py"))
    return sorted(set(files) - set(above))


def _options_named(code: str) -> set[str]:
    """Options in the texts of a module, its docstrings too."""
    texts = (node.value for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Constant))
    found = {name for text in texts if isinstance(text, str) for name in OPTION.findall(text)}
    return found - OF_OTHER_PROGRAMS


def _settings_named(code: str) -> Iterator[str]:
    """Names that errors are raised with: texts in ``settings=(...)``."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.keyword) and node.arg == "settings":
            for item in node.value.elts if isinstance(node.value, ast.Tuple) else ():
                if isinstance(item, ast.Constant) and isinstance(item.value, str):
                    yield item.value


def test_no_library_names_an_option() -> None:
    named = {file: _options_named(file.read_text(encoding="utf-8")) for file in _library_files()}
    assert {str(file): options for file, options in named.items() if options} == {}


def test_the_check_sees_options() -> None:
    assert _options_named("x = f'{1}: use --ctc-weight'; git('--porcelain')") == {"--ctc-weight"}


def test_every_setting_in_an_error_is_an_option() -> None:
    commands = typer.main.get_command(app).commands.values()  # pyright: ignore
    options = {name for command in commands for item in command.params for name in item.opts}
    named = {name for file in _library_files() for name in _settings_named(file.read_text())}
    assert {"modality", "num_beams", "roi", "language_model"} <= named
    assert {flag(name) for name in named} <= options


def test_the_command_line_adds_the_options() -> None:
    error = InputError("too many", settings=("num_beams", "ctc_weight"))
    assert told(error) == "too many (--beam, --ctc-weight)"
    assert told(InputError("too many")) == told(ValueError("too many")) == "too many"


def test_an_option_is_named_where_the_user_sees_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["transcribe", __file__, "--device", "cuda:99"]) == 2
    assert "; try auto or cpu (--device). See" in capsys.readouterr().err
