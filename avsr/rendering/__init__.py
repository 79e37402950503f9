"""Transcriptions as files: plain text, subtitles (SRT, WebVTT), tables (TSV) and JSON."""

from avsr.rendering.cues import Cue, SubtitleStyle, cut_cues
from avsr.rendering.formats import FORMATS, clock, render

__all__ = ["FORMATS", "Cue", "SubtitleStyle", "clock", "cut_cues", "render"]
