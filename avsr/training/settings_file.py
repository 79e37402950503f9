"""Reading settings from YAML and ``key=value``: strict, and every error reported at once."""

import contextlib
import dataclasses
import difflib
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from avsr.errors import UsageError, numbered
from avsr.training.settings import TrainConfig
from avsr.training.settings_check import conflicts, missing_files

__all__ = ["SettingsError", "TrainConfig", "changed_settings", "dump_settings", "load_settings"]


class SettingsError(UsageError):
    """Wrong settings.

    Attributes:
        problems: one sentence each.
    """

    def __init__(self, source: str, problems: Sequence[str]) -> None:
        count = "one setting is" if len(problems) == 1 else f"{len(problems)} settings are"
        listed = problems[0] if len(problems) == 1 else numbered(problems)
        super().__init__(f"{source}: {count} wrong: {listed}")
        self.problems = tuple(problems)


def load_settings(
    paths: str | Path | Sequence[str | Path], overrides: Sequence[str] = (), *, files: bool = False
) -> TrainConfig:
    """Read YAML files, apply ``section.key=value`` changes and check everything.

    Numbers in scientific notation, which YAML takes for text (``1e-3``), are numbers where a
    number is expected.

    Args:
        paths: the YAML file, or several whose sections are put together: what a later one sets
            wins, whole lists included.
        overrides: changes to them.
        files: whether the manifests and noise recordings named must be there.

    Raises:
        SettingsError: listing all unknown names (with the nearest known one), wrong types,
            settings that cannot stand together and, if asked for, missing files.
        UsageError: a file is missing or no YAML.
    """
    listed = [paths] if isinstance(paths, str | Path) else list(paths)
    tree: dict[str, Any] = {}
    for path in listed:
        _merge(tree, _read(Path(path)))
    problems: list[str] = []
    for override in overrides:
        _apply(tree, override, problems)
    reader = _Reader(problems)
    config = reader.section(TrainConfig, tree)
    found = conflicts(config) + (missing_files(config) if files else [])
    problems += [text for text in found if not any(name in text for name in reader.misread)]
    if problems:
        raise SettingsError(", ".join(map(str, listed)), problems)
    return config


def _read(path: Path) -> dict[str, Any]:
    """The settings of one file, as they stand there."""
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"{path}: no such settings file") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"{path}: cannot read this as YAML ({error})") from None
    if not isinstance(tree, dict):
        raise UsageError(f"{path}: expected settings such as 'output: runs/first', got {tree!r}")
    return tree


def _merge(tree: dict[str, Any], later: dict[str, Any]) -> None:
    """Put the settings of a later file over those of earlier ones, section by section."""
    for name, value in later.items():
        section = tree.get(name)
        if isinstance(section, dict) and isinstance(value, dict):
            _merge(section, value)
        elif not isinstance(section, dict) or value is not None:
            tree[name] = value


def dump_settings(config: TrainConfig) -> str:
    """All settings as YAML that :func:`load_settings` reads back."""
    return yaml.safe_dump(_plain(dataclasses.asdict(config)), sort_keys=False, allow_unicode=True)


def changed_settings(old: TrainConfig, new: TrainConfig) -> list[str]:
    """Dotted names of the settings that differ."""
    before, after = dict(_values(old, "")), dict(_values(new, ""))
    return [name for name in after if before[name] != after[name]]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _apply(tree: dict[str, Any], override: str, problems: list[str]) -> None:
    name, equals, text = override.partition("=")
    if not equals or not name.strip():
        problems.append(f'"{override}" is not of the form section.key=value.')
        return
    *sections, key = name.strip().split(".")
    for section in sections:
        inner = tree.setdefault(section, {})
        if inner is None:
            inner = tree[section] = {}
        if not isinstance(inner, dict):
            problems.append(f'"{override}": {section} holds no settings.')
            return
        tree = inner
    try:
        tree[key] = yaml.safe_load(text)
    except yaml.YAMLError:
        problems.append(f'"{override}": cannot read the value as YAML.')


class _Reader:
    """Turns nested mappings into settings; what is wrong keeps its default.

    Args:
        problems: one sentence is added for everything wrong.

    Attributes:
        misread: names of the settings whose values could not be used.
    """

    def __init__(self, problems: list[str]) -> None:
        self._problems = problems
        self._known = sorted(_names(TrainConfig, ""))
        self.misread: set[str] = set()

    def section(self, kind: type, tree: Mapping[str, Any], prefix: str = "") -> Any:
        """The dataclass ``kind`` from the settings of a section."""
        types_of = typing.get_type_hints(kind)
        values: dict[str, Any] = {}
        for name, value in tree.items():
            meant = name if name in types_of else self._guess(f"{prefix}{name}")
            meant = meant.removeprefix(prefix)
            if meant not in types_of:
                continue
            read = self._value(value, types_of[meant], f"{prefix}{meant}")
            if read is not dataclasses.MISSING and (meant == name or meant not in tree):
                values[meant] = read
        return kind(**values)

    def _guess(self, path: str) -> str:
        """The setting or section that an unknown name probably means; "" if there is none."""
        near = difflib.get_close_matches(path, self._known, n=1, cutoff=0.75)
        if not near:
            ends = {name.rpartition(".")[2]: name for name in self._known}
            end = path.rpartition(".")[2]
            near = [ends[name] for name in difflib.get_close_matches(end, list(ends), n=1)]
        self._problems.append(
            f"{path} is unknown" + (f"; did you mean {near[0]}?" if near else ".")
        )
        return near[0] if near else ""

    def _value(self, value: Any, wanted: Any, path: str) -> Any:
        """A section or a value of the wanted type; MISSING where it has to keep its default."""
        if dataclasses.is_dataclass(wanted):
            if isinstance(value, Mapping) or value is None:
                return self.section(wanted, value or {}, f"{path}.")  # pyright: ignore
            self._problems.append(f"{path} must hold settings, got {value!r}.")
            return dataclasses.MISSING
        try:
            return _convert(value, wanted)
        except (ValueError, OverflowError):
            self._problems.append(f"{path} must be {_describe(wanted)}, got {value!r}.")
            self.misread.add(path)
            return dataclasses.MISSING


def _convert(value: Any, wanted: Any) -> Any:
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in arguments:
            return None
        *first, last = [kind for kind in arguments if kind is not type(None)]
        for kind in first:
            with contextlib.suppress(ValueError, OverflowError):
                return _convert(value, kind)
        return _convert(value, last)
    if origin is typing.Literal:
        if value not in arguments:
            raise ValueError
        return value
    if origin is tuple:
        items = value if isinstance(value, list | tuple) else [value]
        if value is None:
            raise ValueError
        return tuple(_convert(item, arguments[0]) for item in items)
    if origin is dict:
        if not isinstance(value, Mapping):
            raise ValueError
        return {_convert(k, arguments[0]): _convert(v, arguments[1]) for k, v in value.items()}
    return _convert_plain(value, wanted)


def _convert_plain(value: Any, wanted: type) -> Any:
    if wanted in (int, float) and not isinstance(value, bool):
        if isinstance(value, str):
            value = float(value)  # 1e-3 is text to YAML
        if wanted is float and isinstance(value, int | float):
            return float(value)
        if isinstance(value, int | float) and value == int(value):
            return int(value)
    elif isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool)):
        return value
    raise ValueError


def _describe(wanted: Any) -> str:
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in (types.UnionType, typing.Union):
        kinds = [_describe(kind) for kind in arguments if kind is not type(None)]
        return " or ".join(kinds) + (" or nothing" if type(None) in arguments else "")
    if origin is typing.Literal:
        return "one of " + ", ".join(map(str, arguments))
    if origin is tuple:
        return f"a list, each item {_describe(arguments[0])}"
    if origin is dict:
        return "names with values"
    return {int: "a whole number", float: "a number", bool: "true or false", str: "text"}[wanted]


def _names(kind: type, prefix: str) -> Iterator[str]:
    """Dotted names of all settings and sections."""
    for name, wanted in typing.get_type_hints(kind).items():
        yield f"{prefix}{name}"
        if dataclasses.is_dataclass(wanted):
            yield from _names(wanted, f"{prefix}{name}.")  # pyright: ignore[reportArgumentType]


def _values(config: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for item in dataclasses.fields(config):
        value = getattr(config, item.name)
        if dataclasses.is_dataclass(value):
            yield from _values(value, f"{prefix}{item.name}.")
        else:
            yield f"{prefix}{item.name}", value
