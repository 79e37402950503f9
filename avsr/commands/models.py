"""``avsr models``: what can be run, where it comes from, and fetching it."""

from typing import Annotated

import typer

from avsr.commands.messages import say
from avsr.commands.options import Debug, Offline
from avsr.commands.progress import ProgressDisplay
from avsr.errors import ModelUnavailableError
from avsr.model_files.bundled import BundledModel, bundled_models
from avsr.model_files.published import PUBLISHED, PublishedModel
from avsr.model_files.store import (
    converted_folder,
    default_model,
    fetch_model,
    fix_default,
    published_model,
    stored_model,
)

models = typer.Typer(
    name="models",
    help="List, explain and fetch models.",
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="As avsr models list shows it.")]


@models.callback()
def _list_by_default(context: typer.Context) -> int:
    """List, explain and fetch models."""
    return list_models() if context.invoked_subcommand is None else 0


@models.command("list")
def list_models(debug: Debug = False) -> int:
    """List bundled models, published checkpoints and their base models."""
    rows = [
        (model.name, "bundled", model.size, model.state, f"{model.summary}; {model.licence}")
        for model in bundled_models().values()
    ]
    for model in PUBLISHED.values():
        state = "here" if stored_model(model) else ""
        rows.append((model.name, model.kind, model.size, state, model.summary))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        columns = [value.ljust(width) for value, width in zip(row, widths, strict=False)]
        print("  ".join([*columns, row[4]]))
    return 0


@models.command("show")
def show_model(name: Name, debug: Debug = False) -> int:
    """Show source, licence, base models, size and published error rates of a model."""
    bundled = bundled_models().get(name)
    if bundled is not None:
        _print_facts(
            kind="bundled",
            summary=bundled.summary,
            licence=bundled.licence,
            size=bundled.size,
            state=bundled.state,
            needs=", ".join(base.name for base in bundled.bases),
            folder=str(bundled.folder),
        )
        card = bundled.folder / "README.md"  # sources, licence and error rates
        if card.is_file():
            print(f"\n{card.read_text().strip()}")
        return 0
    model = published_model(name)
    _print_facts(
        kind=model.kind,
        summary=model.summary,
        licence=model.licence,
        source=model.url or model.page or model.hub_id,
        access="gated: ask for access on its page of the Hugging Face hub" if model.gated else "",
        file=model.file,
        size=model.size,
        needs=", ".join(model.base_models),
        local=str(stored_model(model) or ""),
        convert=_convert_command(model, model.file) if model.kind == "checkpoint" else "",
    )
    for wer in model.wer:
        print(f"{'WER':10}{wer.test_set} {wer.setting}: {wer.percent} %")
    if model.citation:
        print(f"{'cited':10}{model.citation}")
    return 0


@models.command("download")
def download_model(name: Name, offline: Offline = False, debug: Debug = False) -> int:
    """Fetch a model; a broken download goes on where it stopped. Prints where the model is."""
    if name in bundled_models():
        _complete(bundled_models()[name], offline)
        return 0
    model = published_model(name)
    stored = stored_model(model)
    if stored is None:
        if offline:
            raise ModelUnavailableError(f"{name}: is not on this machine; repeat without --offline")
        stored, verified = fetch_model(model, ProgressDisplay())
        if verified:
            say(f"{name}: {verified}")
    print(stored)
    if model.kind == "checkpoint":
        say(f"{name}: next: {_convert_command(model, str(stored))}")
    return 0


@models.command("path")
def model_path(name: Name, debug: Debug = False) -> int:
    """Print where a model is on this machine."""
    bundled = bundled_models().get(name)
    stored = bundled.folder if bundled else stored_model(published_model(name))
    if stored is None:
        raise ModelUnavailableError(
            f"{name}: is not on this machine; run avsr models download {name}"
        )
    print(stored)
    return 0


@models.command("default")
def choose_default(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="A bundled name, a converted published model, a model folder or a hub id; auto "
            "leaves the choice open; nothing prints what is used.",
        ),
    ] = "",
    debug: Debug = False,
) -> int:
    """Show or fix the model that is used where none is named.

    Without a choice, a published model that was downloaded and converted wins over english, which
    comes with this package; where its base models cannot be fetched, grid-tiny reads.
    """
    if name:
        file = fix_default("" if name == "auto" else name)
        say("the choice is open again" if name == "auto" else f"written to {file}")
    chosen = default_model()
    print(chosen.name)
    say(f"{chosen.name}: {chosen.reason}")
    return 0


def _complete(model: BundledModel, offline: bool) -> None:
    """Fetch what a model of this package needs; print where it is."""
    missing = [base.name for base in model.missing]
    if missing:
        from avsr.model_files.base_fetching import fetch_bases

        try:
            fetch_bases(missing, offline=offline, say=say, progress=ProgressDisplay())
        except ModelUnavailableError as error:
            advice = "; repeat without --offline" if offline else ""
            raise ModelUnavailableError(f"{model.name}: {error}{advice}") from error
    print(model.folder)
    here = "is ready" if model.bases else "comes with this package"
    say(f"{model.name}: {here}{'' if missing else '; there is nothing to download'}")


def _print_facts(**facts: str) -> None:
    for label, value in facts.items():
        if value:
            print(f"{label:10}{value}")


def _convert_command(model: PublishedModel, file: str) -> str:
    language_model = next(PUBLISHED[name].hub_id for name in model.base_models if "llama" in name)
    target = converted_folder(model.name)  # where it is found, and becomes the default
    return f"avsr convert {file} --language-model {language_model} -o {target}"
