"""What the README promises: its commands are the ones that CI runs, its options and links exist."""

import re
import subprocess
from pathlib import Path

import pytest

from avsr.cli import run
from avsr.manifest import read_manifest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
SETUP_COMMANDS = [
    line.strip() for line in README.splitlines() if line.startswith("    python3 -m venv")
]


def test_two_commands_do_their_own_setup() -> None:
    transcribe, test = SETUP_COMMANDS
    assert transcribe.endswith("avsr transcribe demo/samples/english.mp4")
    assert (ROOT / "demo/samples/english.mp4").stat().st_size < 500_000
    assert test.endswith("bin/python -m pytest")
    command = r"sed -n 's/^    \(python3 -m venv .* -m pytest\)$/\1/p' README.md"
    assert command in (ROOT / ".ci/run").read_text()
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == f"{test}\n"


def test_expected_output_is_the_text_of_the_sample() -> None:
    following = README.split(SETUP_COMMANDS[0], 1)[1]
    samples = read_manifest(ROOT / "demo/samples/manifest.jsonl")
    (sample,) = [utterance for utterance in samples if utterance.id == "english"]
    assert f"\n    {sample.text}\n" in following.split("```")[0]


@pytest.mark.parametrize("command", ["transcribe", "evaluate"])
def test_options_exist(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "--help"]) == 0
    known = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", capsys.readouterr().out))
    joined = README.replace("\\\n", " ")
    lines = re.findall(rf"^    avsr {command} (.*?)(?:  +#.*)?$", joined, flags=re.MULTILINE)
    assert lines
    for line in lines:
        assert set(re.findall(r"(?<!\S)--?[a-z][a-z-]*", line)) <= known, line


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert links
    for link in links:
        assert link.startswith("http") or (ROOT / link).exists(), link
