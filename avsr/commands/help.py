"""The help page of a command: options in groups, short types, one line on the environment."""

import re
from typing import Any

from typer.core import TyperCommand

# Headings and the options below them, by the command's name; what is not named comes last.
_GROUPS: dict[str, dict[str, str]] = {
    "transcribe": {
        "Input": "start end recursive skip_existing fail_fast",
        "What to read": "modality audio_track keep_unsure",
        "Faces": "face roi save_lips",
        "Rates and search": "quality audio_rate video_rate max_tokens_per_second rate "
        "allow_untrained_rate beam ctc_weight ctc_texts draft",
        "Output": "output output_next_to_source keep_tree output_format json_lines quiet timings "
        "max_line_width max_line_count highlight_words labels",
        "Model and machine": "model device dtype threads jobs ray gpus_per_worker offline",
    },
    "live": {
        "Input": "camera microphone file as_if_live modality",
        "Output": "vtt json_lines quiet",
        "Model and machine": "model device threads offline",
    },
    "evaluate": {
        "Input (--manifest or --data is needed)": "manifest data layout split limit",
        "What to read": "modality noise snr babble_from seed",
        "Rates and search": "audio_rate video_rate allow_untrained_rate beam ctc_weight ctc_texts "
        "draft",
        "Output": "output plots strict",
        "Model and machine": "model device batch_size jobs ray gpus_per_worker cache offline",
    },
    "serve": {
        "Who may ask": "host port without_keys alias",
        "Limits": "workers queue max_seconds max_megabytes live live_seconds patience stop_within",
        "Model and machine": "model device threads offline",
    },
}
_EXAMPLES = {
    "transcribe": (
        ("avsr transcribe talk.mp4", "the words, as they are read"),
        ("avsr transcribe films/ -f srt -o texts", "subtitles of all files of a folder"),
        ("avsr transcribe talk.mp4 --modality video --face 2", "lips alone, of the second face"),
    ),
    "live": (
        ("avsr live", "camera and microphone"),
        ("avsr live --modality audio --vtt talk.vtt", "the microphone alone, and subtitles"),
        ("avsr live --file talk.mp4 --as-if-live", "a recording, in real time"),
    ),
    "evaluate": (
        ("avsr evaluate --manifest test.jsonl", "sound and lips, finest rates"),
        ("avsr evaluate --manifest test.jsonl --modality av,audio --noise babble --snr 10,0", ""),
        ("avsr evaluate --data LRS3 --split test -o results.json", "a corpus, resumable"),
    ),
    "serve": (
        ("avsr serve", "for this machine, at http://127.0.0.1:8000/v1"),
        ("avsr serve --alias whisper-1", "for programs whose model cannot be chosen"),
        ("AVSR_API_KEYS=a,b avsr serve --host 0.0.0.0", "for other machines"),
    ),
}
_SHORT_TYPES = (  # as the versions of typer call them
    (r"<list\[\w+\]>", ""),
    (r"<(int|float)( range)?>|(INTEGER|FLOAT)( RANGE)?", "N"),
    (r"<(path|file|directory)>", "PATH"),
    (r"<str>|TEXT", "TEXT"),
    (r"[<\[](\w+(?:\|\w+)*)[>\]]", r"\1"),
)
_REST = "Other"


class HelpfulCommand(TyperCommand):
    """A command with such a help page."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments, and options group by group."""
        arguments: list[tuple[str, str]] = []
        groups = _GROUPS.get(self.name or "", {})
        group_of = {name: group for group, names in groups.items() for name in names.split()}
        rest = _REST if groups else "Options"
        rows: dict[str, list[tuple[int, tuple[str, str]]]] = {group: [] for group in groups}
        order = {name: place for place, name in enumerate(group_of)}
        for parameter in self.get_params(ctx):
            vars(parameter)["show_envvar"] = False  # one line tells them all
            record = parameter.get_help_record(ctx)
            if record is None:
                continue
            name = str(parameter.name)
            if parameter.param_type_name == "argument":
                arguments.append((_short(record[0]), record[1]))
            else:
                row = (order.get(name, 0), (_short(record[0]), record[1]))
                rows.setdefault(group_of.get(name, rest), []).append(row)
        if arguments:
            with formatter.section("Arguments"):
                formatter.write_dl(arguments)
        for group, numbered in rows.items():
            with formatter.section(group):
                formatter.write_dl([row for _, row in sorted(numbered, key=lambda one: one[0])])

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write examples, and how the environment gives defaults."""
        examples = _EXAMPLES.get(self.name or "", ())
        if examples:
            with formatter.section("Examples"):
                for command, meaning in examples:
                    formatter.write(f"  {command}{f'   # {meaning}' if meaning else ''}\n")
        prefix = f"AVSR_{(self.name or '').upper()}"
        own = [
            str(one.name).upper()
            for one in self.params
            if one.param_type_name == "option" and not one.envvar and one.name != "version"
        ]
        envvars = [str(one.envvar) for one in self.params if one.envvar]
        shared = [envvar for envvar in envvars if not envvar.startswith(prefix)]
        if own:
            formatter.write_paragraph()
            known = f"{', '.join(shared)}, for others " if shared else ""
            formatter.write_text(
                f"Every option has an environment default: {known}{prefix}_ and the option's "
                f"name, such as {prefix}_{own[0]}."
            )


def _short(option: str) -> str:
    """An option with its type as people write it."""
    for pattern, short in _SHORT_TYPES:
        changed = re.sub(f" (?:{pattern})$", f" {short}".rstrip(), option)
        if changed != option:
            return changed
    return option
