"""What the page on serving says is so: its options, fields and routes exist."""

import re
from pathlib import Path

import pytest

from avsr.cli import run
from avsr.recognition.request_texts import REQUEST_FIELDS
from avsr.serving.questions import _FORMATS, _OPENAI_FIELDS

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "serve.md").read_text(encoding="utf-8")
CONTAINER = (ROOT / "recipes" / "serve" / "Containerfile").read_text(encoding="utf-8")


def test_options_exist(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["serve", "--help"]) == 0
    known = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    commands = re.findall(r"avsr serve ([^`\n]*)", PAGE) + re.findall(r'"serve"(.*)\]', CONTAINER)
    named = {option for one in commands for option in re.findall(r"--[a-z-]+", one)}
    tabled = set(re.findall(r"`(--[a-z-]+)[ `]", PAGE))
    assert {"--host", "--offline"} <= named
    assert named | tabled <= known
    assert known - {"--help", "--debug", "--model", "--device", "--threads"} <= named | tabled


def test_fields_are_all_there() -> None:
    fields = set(re.findall(r"`([a-z_]+)(?:\[\])?`", PAGE))
    assert {*REQUEST_FIELDS, *_OPENAI_FIELDS, *_FORMATS, "file"} <= fields


def test_links_lead_somewhere() -> None:
    for link in re.findall(r"\]\(([^)]+)\)", PAGE):
        assert (ROOT / "docs" / link).exists(), link
