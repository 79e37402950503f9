"""``avsr models``: what can be run, where it comes from, and fetching it."""

import json
from pathlib import Path
from typing import Annotated

import typer

from avsr.commands.messages import ProgressLine, say
from avsr.commands.options import Debug
from avsr.errors import ModelUnavailableError, UsageError, one_line
from avsr.model_files.default_model import (
    converted_folder,
    default_model,
    fix_default,
    model_store,
)
from avsr.model_files.published import PUBLISHED, PublishedModel

models = typer.Typer(
    name="models",
    help="List, explain and fetch models.",
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="As avsr models list shows it.")]
Offline = Annotated[bool, typer.Option("--offline", help="Use no network.")]

_BUNDLED_FOLDER = Path(__file__).parents[1] / "bundled"
_HUB_FILES = ["*.json", "*.txt", "*.model", "*.safetensors"]  # no copies in other formats


@models.callback()
def _list_by_default(context: typer.Context) -> int:
    """List, explain and fetch models."""
    return list_models() if context.invoked_subcommand is None else 0


@models.command("list")
def list_models(debug: Debug = False) -> int:
    """List bundled models, published checkpoints and their base models."""
    rows = [(name, "bundled", _megabytes(_folder_bytes(folder)), "here", _bundled_summary(folder))
            for name, folder in sorted(_bundled().items())]  # fmt: skip
    for model in PUBLISHED.values():
        state = "here" if _stored_file(model) else ""
        rows.append((model.name, model.kind, model.size, state, model.summary))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        columns = [value.ljust(width) for value, width in zip(row, widths, strict=False)]
        print("  ".join([*columns, row[4]]))
    return 0


@models.command("show")
def show_model(name: Name, debug: Debug = False) -> int:
    """Show source, licence, base models, size and published error rates of a model."""
    if name in _bundled():
        folder = _bundled()[name]
        _print_facts(
            kind="bundled",
            summary=_bundled_summary(folder),
            size=_megabytes(_folder_bytes(folder)),
            folder=str(folder),
        )
        card = folder / "README.md"  # sources, licence and error rates
        if card.is_file():
            print(f"\n{card.read_text().strip()}")
        return 0
    model = _published(name)
    _print_facts(
        kind=model.kind,
        summary=model.summary,
        licence=model.licence,
        source=model.url or model.page or model.hub_id,
        access="gated: ask for access on its page of the Hugging Face hub" if model.gated else "",
        file=model.file,
        size=model.size,
        needs=", ".join(model.base_models),
        local=str(_stored_file(model) or ""),
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
    if name in _bundled():
        print(_bundled()[name])
        say(f"{name}: comes with this package; there is nothing to download")
        return 0
    model = _published(name)
    stored = _stored_file(model)
    if stored is None:
        if offline:
            raise ModelUnavailableError(f"{name}: is not on this machine; repeat without --offline")
        stored = _fetch(model)
    print(stored)
    if model.kind == "checkpoint":
        say(f"{name}: next: {_convert_command(model, str(stored))}")
    return 0


@models.command("path")
def model_path(name: Name, debug: Debug = False) -> int:
    """Print where a model is on this machine."""
    if name in _bundled():
        print(_bundled()[name])
        return 0
    stored = _stored_file(_published(name))
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

    Without a choice, a published model that was downloaded and converted wins over the bundled one.
    """
    if name:
        fixed = "" if name == "auto" else _usable_name(name)
        try:
            file = fix_default(fixed)
        except OSError as error:
            message = f"cannot write the choice ({one_line(error)}); free space, set AVSR_CONFIG"
            raise UsageError(message) from error
        say(f"written to {file}" if fixed else "the choice is open again")
    chosen = default_model()
    print(chosen.name)
    say(f"{chosen.name}: {chosen.reason}")
    return 0


def _usable_name(name: str) -> str:
    """A model that can be loaded without further work, by the name under which it is found."""
    folder = Path(name)
    if name in _bundled():
        return name
    if name in PUBLISHED:
        converted = converted_folder(name)
        if not (converted / "config.json").is_file():
            raise ModelUnavailableError(
                f"{name}: is not ready; run avsr models download {name}, then the avsr convert "
                "command that it names"
            )
        return str(converted)
    if (folder / "config.json").is_file():
        return str(folder.resolve())
    owner, _, repository = name.partition("/")
    if owner and repository and "/" not in repository and not folder.exists():
        return name
    raise UsageError(f"{name}: is no model; give a name of avsr models list, a folder or a hub id")


def _published(name: str) -> PublishedModel:
    if name not in PUBLISHED:
        raise UsageError(f"{name}: no such model; avsr models list shows them")
    return PUBLISHED[name]


def _bundled() -> dict[str, Path]:
    return {path.parent.name: path.parent for path in _BUNDLED_FOLDER.glob("*/config.json")}


def _bundled_summary(folder: Path) -> str:
    config = json.loads((folder / "config.json").read_text())
    rates = [
        f"{stream} rates {','.join(map(str, config[f'{stream}_rates']))}"
        for stream in ("audio", "video")
        if config.get(f"{stream}_config")
    ]
    return f"{', '.join(config.get('modalities') or ())}; {', '.join(rates)}"


def _folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _megabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:.0f} MB"


def _print_facts(**facts: str) -> None:
    for label, value in facts.items():
        if value:
            print(f"{label:10}{value}")


def _store(model: PublishedModel) -> Path:
    """Folder that holds a model's file."""
    return model_store() / model.name


def _stored_file(model: PublishedModel) -> Path | None:
    """Where a model is on this machine, however it came there."""
    if model.hub_id:
        return _hub_folder(model, local_files_only=True)
    folder = _store(model)
    names = (path for path in folder.glob(f"{model.file}*") if ".part" not in path.name)
    return next(iter(sorted(names)), None)


def _hub_folder(model: PublishedModel, *, local_files_only: bool) -> Path | None:
    """Folder of a hub model; None if it is not here and may not be fetched."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError

    try:
        return Path(
            snapshot_download(
                model.hub_id, allow_patterns=_HUB_FILES, local_files_only=local_files_only
            )
        )
    except GatedRepoError as error:
        raise ModelUnavailableError(
            f"{model.name}: is gated; ask for access on the page of {model.hub_id} on the Hugging "
            "Face hub, then run hf auth login and repeat"
        ) from error
    except LocalEntryNotFoundError as error:
        if local_files_only:
            return None
        raise ModelUnavailableError(
            f"{model.name}: cannot be fetched ({one_line(error)[:160]})"
        ) from error
    except Exception as error:
        raise ModelUnavailableError(
            f"{model.name}: cannot be fetched ({one_line(error)[:160]})"
        ) from error


def _fetch(model: PublishedModel) -> Path | None:
    if model.hub_id:
        return _hub_folder(model, local_files_only=False)
    target = _store(model) / model.file
    if not model.url:
        raise ModelUnavailableError(
            f"{model.name}: has no address that a program can fetch; open {model.page} in a "
            f"browser and save {model.file} as {target}"
        )
    from avsr.model_files.download import download

    verified = download(
        model.url, target, n_bytes=model.n_bytes, sha256=model.sha256, progress=ProgressLine()
    )
    say(f"{model.name}: {verified}")
    return target


def _convert_command(model: PublishedModel, file: str) -> str:
    language_model = next(PUBLISHED[name].hub_id for name in model.base_models if "llama" in name)
    target = converted_folder(model.name)  # where it is found, and becomes the default
    return f"avsr convert {file} --language-model {language_model} -o {target}"
