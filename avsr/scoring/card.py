"""The evaluation card: what must be known to judge a word error rate, or to measure it again."""

from typing import Any

from avsr.scoring.normalisers import LRS3, WHISPER
from avsr.scoring.significance import N_BOOTSTRAP
from avsr.scoring.tables import results_table, spread_text


def card(results: dict[str, Any]) -> str:
    """The card as Markdown, from the values of a results file."""
    settings, rows = results["settings"], results["rows"]
    model, decoding = settings["model"], settings["decoding"]
    data = ", ".join(f"{name} {value}" for name, value in settings["data"].items() if value)
    lines = [
        f"# Evaluation of {model['name']}",
        "",
        *(f"**{note}**\n" for note in results["notes"]),
        f"- Model: {model['name']}, sha256 {model['sha256']} (of its configuration and weights)",
        *(f"- Frozen part: {base}" for base in model["bases"]),
        f"- Decoding: {decoding['search']}, at most {decoding['max_tokens_per_second']:g} tokens "
        f"for a second of clip, no sampling; {decoding['dtype']} on {decoding['device']}",
        f"- Clips: {rows[0]['n_utterances']} with {rows[0]['n_words']} words; {data}",
        f"- Seed: {settings['seed']} (noise by the hash of each clip's id; bootstrap)",
        *(f"- Noise {name}: {_values(about)}" for name, about in settings["noises"].items()),
        *_achieved(rows),
        *_wordless(rows),
        *_both_or_either(rows),
        "- WER: corpus word error rate, errors over reference words of all clips; "
        f"{settings['normalisers'][LRS3]}; 95 % by {N_BOOTSTRAP} bootstrap draws of clips",
        f"- Whisper WER: {settings['normalisers'][WHISPER]}",
        f"- Counted with an empty text: {rows[0]['n_unreadable']} unreadable clips; without what "
        f"a row needs: at most {max(row['n_without_input'] for row in rows)}; av rows read from "
        f"one stream: at most {max(row['n_fallback'] for row in rows)} clips",
        f"- Versions: {_values(results['versions'])}",
        "",
        results_table(rows).render("markdown"),
    ]
    if results["problems"]:
        counts = ", ".join(f"{n} {kind}" for kind, n in results["problem_counts"].items())
        lines += [f"Problems: {counts}.", ""]
        lines += [f"- {p['kind']}: {p['id']}: {p['detail']}" for p in results["problems"]]
        lines.append("")
    return "\n".join(lines)


def _values(about: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in about.items() if value is not None)


def _wordless(rows: list[dict[str, Any]]) -> list[str]:
    """One line on clips whose reference has no word."""
    found = [row["wordless"] for row in rows if row["wordless"]]
    if not found:
        return []
    most = max(values["n_clips_with_words"] for values in found)
    return [
        f"- Clips in which nothing is said: {found[0]['n_clips']}, of which at most {most} were "
        "given words; those words are insertions of the WER, and counted apart in the table"
    ]


def _both_or_either(rows: list[dict[str, Any]]) -> list[str]:
    """One line on rows of both that are compared with those of either stream."""
    if not any(row.get("against_better") for row in rows):
        return []
    return [
        "- Both - better: WER of reading sound and lips less that of the better stream alone, in "
        f"points, at the same rates in the same sound; 95 % by {N_BOOTSTRAP} paired bootstrap draws"
    ]


def _achieved(rows: list[dict[str, Any]]) -> list[str]:
    """One line with the ratios achieved for each ratio asked for."""
    spreads: dict[float, list[float]] = {}
    for row in rows:
        if row["snr_db_achieved"] is not None:
            spreads.setdefault(row["snr_db"], []).extend(row["snr_db_achieved"])
    if not spreads:
        return []
    parts = [
        f"{asked:g} dB: {spread_text((min(values), max(values)))}"
        for asked, values in spreads.items()
    ]
    return [f"- Ratios achieved, speech over noise, lowest to highest clip: {'; '.join(parts)}"]
