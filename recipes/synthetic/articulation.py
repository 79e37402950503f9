"""How the mouth moves: phones with times in, mouth shape for every video frame out.

Each phone pulls the mouth towards its own shape with a strength that fades with distance in time
(dominance functions, after Cohen and Massaro 1993), so that neighbours blend and rounding starts
early. Closures of p, b, m and the lip-to-teeth contact of f, v are then enforced.

T video frames, K moments on the fine time axis, P phones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from speech import Span

_STEP_S = 0.005  # fine time axis
_EXPOSURE_S = 0.02  # a camera frame averages over this long
_RAMP_S = 0.055  # from closed lips to the neighbouring shape


@dataclass(frozen=True, kw_only=True)
class Habits:
    """How one speaker articulates.

    Attributes:
        amplitude: scale of mouth opening; mumblers 0.4, exaggerators 1.4.
        rounding: scale of spreading and rounding.
        tightness: under 1, shapes blend more (lazy speech); above, less.
        rest_open: opening in silence, as a fraction of the mouth's width.
        lead_s: by how much the lips precede the sound.
    """

    amplitude: float = 1.0
    rounding: float = 1.0
    tightness: float = 1.0
    rest_open: float = 0.0
    lead_s: float = 0.0


@dataclass(frozen=True)
class MouthShape:
    """Mouth shape over time; every field float32 [T].

    Attributes:
        open: gap between the lips, as a fraction of the mouth's width at rest; 0 is closed.
        wide: -1 rounded, 0 neutral, 1 spread.
        protrude: 0 to 1, lips pushed forward.
        jaw: 0 closed to 1 dropped.
        press: 0 to 1, lips pressed together.
        tuck: 0 to 1, lower lip at the upper teeth.
        tongue: 0 to 1, how far up and forward its tip is.
        closed: 1 in a frame whose lips must touch, else 0.
    """

    open: np.ndarray
    wide: np.ndarray
    protrude: np.ndarray
    jaw: np.ndarray
    press: np.ndarray
    tuck: np.ndarray
    tongue: np.ndarray
    closed: np.ndarray

    def __len__(self) -> int:
        return len(self.open)


@dataclass(frozen=True)
class _Viseme:
    """Target shape and strength; ``tau_s`` is how long before and after its phone it is felt."""

    open: float = 0.14
    wide: float = 0.0
    protrude: float = 0.0
    jaw: float = 0.2
    press: float = 0.0
    tuck: float = 0.0
    tongue: float = 0.2
    weight: float = 1.0
    tau_s: float = 0.06


_CLOSED = _Viseme(open=0.0, jaw=0.08, press=1.0, weight=3.0, tau_s=0.05)
_VISEMES = {
    "i": _Viseme(open=0.13, wide=0.75, jaw=0.15, tongue=0.35),
    "I": _Viseme(open=0.17, wide=0.4, jaw=0.25, tongue=0.3),
    "E": _Viseme(open=0.25, wide=0.35, jaw=0.45),
    "a": _Viseme(open=0.34, wide=0.2, jaw=0.75, tongue=0.1),
    "A": _Viseme(open=0.38, wide=-0.05, jaw=0.9, tongue=0.0),
    "V": _Viseme(open=0.29, jaw=0.6, tongue=0.1),
    "0": _Viseme(open=0.32, wide=-0.4, protrude=0.3, jaw=0.7, tongue=0.0),
    "O": _Viseme(open=0.26, wide=-0.65, protrude=0.6, jaw=0.5, tongue=0.0),
    "o": _Viseme(open=0.2, wide=-0.7, protrude=0.6, jaw=0.4, tongue=0.0),
    "U": _Viseme(open=0.13, wide=-0.7, protrude=0.7, jaw=0.2, tongue=0.1),
    "u": _Viseme(open=0.1, wide=-0.9, protrude=0.9, jaw=0.15, tongue=0.1, tau_s=0.09),
    "3": _Viseme(open=0.2, wide=-0.15, protrude=0.2, jaw=0.35),
    "@": _Viseme(open=0.17, jaw=0.3, weight=0.6),
    "p": _CLOSED,
    "b": _CLOSED,
    "m": _CLOSED,
    "f": _Viseme(open=0.05, wide=0.15, jaw=0.1, tuck=1.0, weight=2.5, tau_s=0.05),
    "T": _Viseme(open=0.13, wide=0.1, jaw=0.15, tongue=1.0, weight=1.5),
    "t": _Viseme(open=0.1, wide=0.15, jaw=0.1, tongue=0.6, weight=0.6, tau_s=0.05),
    "n": _Viseme(open=0.13, wide=0.1, jaw=0.15, tongue=0.65, weight=0.6, tau_s=0.05),
    "l": _Viseme(open=0.2, wide=0.05, jaw=0.3, tongue=0.9, weight=0.8, tau_s=0.06),
    "s": _Viseme(open=0.1, wide=0.35, jaw=0.0, tongue=0.3, weight=1.3, tau_s=0.06),
    "S": _Viseme(open=0.17, wide=-0.5, protrude=0.8, jaw=0.05, weight=1.6, tau_s=0.08),
    "r": _Viseme(open=0.12, wide=-0.45, protrude=0.5, jaw=0.15, weight=1.1, tau_s=0.08),
    "w": _Viseme(open=0.05, wide=-1.0, protrude=1.0, jaw=0.1, weight=1.8, tau_s=0.09),
    "j": _Viseme(open=0.11, wide=0.5, jaw=0.15, tongue=0.3, weight=0.8),
    "k": _Viseme(open=0.14, jaw=0.2, tongue=0.0, weight=0.4, tau_s=0.05),
}
_SAME = {"v": "f", "D": "T", "d": "t", "z": "s", "Z": "S", "g": "k", "N": "k", "h": "k", "x": "k"}
_SAME |= {"e": "E", ";": "j", "L": "l", "R": "r", "?": "k", "c": "k", "H": "w", "W": "w", "y": "u"}
_LIP_CLOSERS = "pbm"
_LIP_BITERS = "fv"


def visemes_of(phone: str) -> list[str]:
    """The mouth shapes that a phone in espeak-ng's notation passes through: two for a diphthong."""
    if phone.startswith(("tS", "dZ")):
        return ["S"]
    if phone.startswith("A@"):
        return ["A"]
    if phone.startswith(("O@", "o@")):
        return ["O"]
    shapes = [_SAME.get(sign, sign) for sign in phone]
    return [shape for shape in shapes if shape in _VISEMES][:2] or ["@"]


def mouth_motion(
    phones: Sequence[Span], n_frames: int, fps: float, habits: Habits, seed: int = 0
) -> MouthShape:
    """Turn timed phones into mouth shapes.

    Args:
        phones: in order, seconds from the first frame.
        n_frames: T.
        fps: frames per second.
        habits: the speaker's.
        seed: of the small movements that speech does not explain.
    """
    duration_s = n_frames / fps
    times = np.arange(-0.1, duration_s + 0.2, _STEP_S)
    rng = np.random.default_rng(seed)
    shifted = [
        Span(phone.label, phone.start - habits.lead_s, phone.end - habits.lead_s)
        for phone in phones
    ]
    curves = _blend(shifted, times, habits, rng)
    closed = _contact(shifted, times, _LIP_CLOSERS)
    bitten = _contact(shifted, times, _LIP_BITERS)
    curves["open"] *= 1 - closed
    curves["press"] = np.maximum(curves["press"], closed)
    curves["tuck"] = np.maximum(curves["tuck"] * bitten.clip(0.3, 1), bitten)
    curves["open"] = np.where(bitten > 0.99, np.minimum(curves["open"], 0.06), curves["open"])
    frame_times = np.arange(n_frames) / fps
    shapes: dict[str, np.ndarray] = {}
    for name, curve in curves.items():
        window = max(1, round(_EXPOSURE_S / _STEP_S))
        smooth = np.convolve(curve, np.full(window, 1 / window), mode="same")
        shapes[name] = np.interp(frame_times, times, smooth).astype(np.float32)
    # A frame that falls into a closure shows it fully, however short the closure is.
    touching = np.interp(frame_times, times, closed) > 0.9
    shapes["open"] = np.where(touching, 0.0, shapes["open"]).astype(np.float32)
    shapes["closed"] = touching.astype(np.float32)
    return MouthShape(**shapes)


def _blend(
    phones: list[Span], times: np.ndarray, habits: Habits, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Weighted mean of all targets at each moment; [K] for every field but ``closed``."""
    targets: list[tuple[_Viseme, float, float]] = []
    for phone in phones:
        shapes = visemes_of(phone.label)
        edges = np.linspace(phone.start, phone.end, len(shapes) + 1)
        for shape, start, end in zip(shapes, edges[:-1], edges[1:], strict=True):
            targets.append((_VISEMES[shape], float(start), float(end)))
    names = [field.name for field in fields(MouthShape) if field.name != "closed"]
    rest = _Viseme(open=habits.rest_open, jaw=habits.rest_open, tongue=0.0)
    total = np.full(len(times), 0.02)
    sums = {name: 0.02 * getattr(rest, name) * np.ones(len(times)) for name in names}
    for viseme, start, end in targets:
        distance = np.maximum(np.maximum(start - times, times - end), 0)
        # Lips prepare a shape earlier than they leave it.
        tau = np.where(times < start, viseme.tau_s, 0.75 * viseme.tau_s) / habits.tightness
        effort = rng.lognormal(0, 0.12)
        weight = viseme.weight * effort * np.exp(-((distance / tau) ** 1.5))
        total += weight
        for name in names:
            sums[name] += weight * getattr(viseme, name)
    curves = {name: values / total for name, values in sums.items()}
    drift = np.interp(times, np.linspace(times[0], times[-1], 8), rng.normal(0, 1, 8))
    curves["open"] = np.maximum(
        curves["open"] * habits.amplitude * (1 + 0.1 * drift), habits.rest_open * 0.5
    )
    curves["jaw"] = curves["jaw"] * habits.amplitude
    curves["wide"] = (curves["wide"] * habits.rounding + 0.05 * drift).clip(-1.1, 1.1)
    curves["protrude"] = curves["protrude"] * habits.rounding
    return curves


def _contact(phones: list[Span], times: np.ndarray, labels: str) -> np.ndarray:
    """1 inside phones that start with one of ``labels``, falling to 0 on both sides; [K]."""
    contact = np.zeros(len(times))
    for phone in phones:
        if phone.label[0] in labels:
            # Lips part as a stop is released, a moment before its phone ends.
            end = phone.start + 0.75 * (phone.end - phone.start)
            distance = np.maximum(np.maximum(phone.start - times, times - end), 0)
            fall = np.clip(distance / _RAMP_S, 0, 1)
            contact = np.maximum(contact, 1 - fall * fall * (3 - 2 * fall))
    return contact
