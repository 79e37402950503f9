"""Help pages: every option in one group, short types, names of the environment by one rule."""

import re
from typing import Any

import pytest
import typer.main

from avsr.cli import app, run
from avsr.commands.help import _GROUPS, HelpfulCommand

COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # pyright: ignore


def _options(command: str) -> list[Any]:
    return [one for one in COMMANDS[command].params if one.param_type_name == "option"]


@pytest.mark.parametrize("command", sorted(_GROUPS))
def test_every_option_is_in_one_group(command: str) -> None:
    grouped = [name for names in _GROUPS[command].values() for name in names.split()]
    own = {one.name for one in _options(command)} - {"debug", "version"}
    assert sorted(grouped) == sorted(own)


@pytest.mark.parametrize(
    "command", [name for name, one in COMMANDS.items() if isinstance(one, HelpfulCommand)]
)
@pytest.mark.parametrize("width", [80, 120])
def test_help_is_short_and_fits(
    command: str, width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    assert run([command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert not re.search(r"<\w+[\[|>]|<\w+ range|INTEGER|env var", shown)
    body = shown.split("Examples:")[0].splitlines()
    assert max(map(len, body)) <= width
    if width == 120 and command in _GROUPS:
        assert max(map(len, body)) > 80  # the terminal's width is used


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_environment_names_follow_from_the_option(command: str) -> None:
    if not isinstance(COMMANDS[command], HelpfulCommand):
        pytest.skip("a group of commands")
    for option in _options(command):
        if option.name == "version":
            continue
        longest = max(option.opts, key=len).removeprefix("--").replace("-", "_").upper()
        named = option.envvar or f"AVSR_{command.upper()}_{option.name.upper()}"
        assert named in (f"AVSR_{command.upper()}_{longest}", f"AVSR_{longest}")


def test_the_format_comes_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AVSR_TRANSCRIBE_FORMAT", "doc")
    assert run(["transcribe", "a.mp4"]) == 2
    assert "'doc' is not one of" in capsys.readouterr().err


def test_examples_name_options_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    for command in _GROUPS:
        run([command, "--help"])
        lines = capsys.readouterr().out.split("Examples:\n")[1].split("\n\n")[0].splitlines()
        assert len(lines) == 3
        known = {flag for option in _options(command) for flag in option.opts}
        for line in lines:
            used = re.findall(r"(?<= )--?[a-z][a-z-]*", line.split("#")[0])
            assert set(used) <= known


def test_evaluate_says_what_it_needs(capsys: pytest.CaptureFixture[str]) -> None:
    run(["evaluate", "--help"])
    assert "--manifest or --data is needed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "page"),
    [
        ("transcribe", "avsr transcribe"),  # found by the parser
        ("transcribe a.mp4 --beam none", "avsr transcribe"),
        ("models show", "avsr models show"),
        ("models nonesuch", "avsr models"),
        ("nonesuch", "avsr"),
        ("transcribe models -f doc", "avsr transcribe"),  # found by a command
        ("evaluate", "avsr evaluate"),
        ("models show nonesuch", "avsr models show"),
        ("live --modality audio --file none.mp4 --camera 1", "avsr live"),
    ],
)
def test_errors_of_usage_name_the_help_page_of_the_command(
    arguments: str, page: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments.split()) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(f". See {page} --help.")
    assert ".. See" not in line
