"""A trained model folder as one that comes with the package: ``avsr/bundled/english``.

    python recipes/english/bundle.py --model runs/english/reader/model --out avsr/bundled/english

Base models get the names under which every machine fetches them, in place of this one's folders;
JSON is written without spaces, since half the size of the files are tokenizers.
"""

import argparse
import json
from pathlib import Path
from shutil import copyfile
from typing import Any

from avsr.model_files.base_packages import BASE_PACKAGES

OF_THIS_MACHINE = ("_name_or_path", "_model_name_or_path", "quantization_config")


def bundled_config(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration without folders of the machine it was trained on.

    Raises:
        ValueError: a base model is none that can be fetched.
    """
    bases = {}
    for part, base in config["base_models"].items():
        name = Path(base["name"]).name
        if name not in BASE_PACKAGES:
            raise ValueError(f"{base['name']}: is none of {', '.join(BASE_PACKAGES)}")
        bases[part] = base | {"name": name}
    parts = {
        key: {name: item for name, item in value.items() if name not in OF_THIS_MACHINE}
        if key.endswith("_config") and isinstance(value, dict)
        else value
        for key, value in config.items()
        if key not in OF_THIS_MACHINE
    }
    return parts | {"base_models": bases}


def write_bundle(model: Path, out: Path) -> None:
    """Copy what a model of trained parts needs.

    Raises:
        ValueError: it stands on base models that cannot be fetched.
    """
    for source in sorted(model.rglob("*")):
        target = out / source.relative_to(model)
        if source.suffix == ".json":
            target.parent.mkdir(parents=True, exist_ok=True)
            values = json.loads(source.read_text(encoding="utf-8"))
            if source == model / "config.json":
                values = bundled_config(values)
            if source.name == "adapter_config.json":
                name = Path(values["base_model_name_or_path"]).name
                values["base_model_name_or_path"] = BASE_PACKAGES[name].hub_id
            text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
            if source.stat().st_size < 100_000:  # to be read by people
                text = json.dumps(values, ensure_ascii=False, indent=2)
            target.write_text(text + "\n", encoding="utf-8")
        elif source.suffix == ".safetensors":
            target.parent.mkdir(parents=True, exist_ok=True)
            copyfile(source, target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, type=Path)
    parser.add_argument("--out", required=True, type=Path)
    args = parser.parse_args()
    write_bundle(args.model, args.out)
    n_bytes = sum(path.stat().st_size for path in args.out.rglob("*") if path.is_file())
    print(f"{args.out}: {n_bytes / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
