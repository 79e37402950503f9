"""The look of Gradio's own controls, matched to the style sheet of the page."""

from pathlib import Path

from gradio.themes import Base, sizes
from gradio.themes.utils.colors import Color
from gradio.themes.utils.fonts import LocalFont

ASSETS = Path(__file__).parent / "assets"

_VIOLET = Color(
    c50="#f3f1ff", c100="#e6e2ff", c200="#cfc7ff", c300="#aea3ff", c400="#8b7bf0", c500="#6d59d9",
    c600="#5643bd", c700="#47379c", c800="#3a2e7d", c900="#2c2460", c950="#1c173f",
)  # fmt: skip
_STONE = Color(
    c50="#faf9f6", c100="#f5f3ee", c200="#dedad0", c300="#c3beb2", c400="#a3afbe", c500="#707b8a",
    c600="#566070", c700="#2d3745", c800="#181f29", c900="#131922", c950="#0f141b",
)  # fmt: skip


def scripts() -> list[str]:
    """The scripts of the page, one for each of its concerns."""
    return [path.read_text(encoding="utf-8") for path in sorted(ASSETS.glob("*.js"))]


def theme() -> Base:
    """Paper and ink, violet for actions; fonts come with Gradio, none is fetched.

    Its 600 weight of IBM Plex Sans lacks most letters, so bold is 700.
    """
    look = Base(
        primary_hue=_VIOLET,
        secondary_hue=_VIOLET,
        neutral_hue=_STONE,
        radius_size=sizes.radius_lg,
        font=[LocalFont("IBM Plex Sans", weights=(400, 700)), "system-ui", "sans-serif"],
        font_mono=[LocalFont("IBM Plex Mono", weights=(400,)), "ui-monospace", "monospace"],
    )
    return look.set(
        body_background_fill="#f5f3ee",
        body_background_fill_dark="#0f141b",
        body_text_color="#1a2230",
        body_text_color_dark="#eaeef4",
        body_text_color_subdued="#566070",
        body_text_color_subdued_dark="#a3afbe",
        background_fill_primary="#ffffff",
        background_fill_primary_dark="#181f29",
        background_fill_secondary="#faf9f6",
        background_fill_secondary_dark="#131922",
        block_background_fill="#ffffff",
        block_background_fill_dark="#181f29",
        block_border_color="#dedad0",
        block_border_color_dark="#2d3745",
        block_label_text_color="#566070",
        block_label_text_color_dark="#a3afbe",
        block_title_text_color="#1a2230",
        block_title_text_color_dark="#eaeef4",
        block_title_text_weight="600",
        block_info_text_color="#566070",
        block_info_text_color_dark="#a3afbe",
        border_color_primary="#dedad0",
        border_color_primary_dark="#2d3745",
        input_background_fill="#faf9f6",
        input_background_fill_dark="#131922",
        input_placeholder_color="#6b7482",
        input_placeholder_color_dark="#8f9bab",
        button_primary_background_fill="#5643bd",
        button_primary_background_fill_hover="#47379c",
        button_primary_background_fill_dark="#6d59d9",
        button_primary_background_fill_hover_dark="#5f4bcb",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#ffffff",
        button_secondary_background_fill="#ffffff",
        button_secondary_background_fill_dark="#181f29",
        button_secondary_background_fill_hover="#f3f1ff",
        button_secondary_background_fill_hover_dark="#2c2460",
        button_secondary_border_color="#c3beb2",
        button_secondary_border_color_dark="#3b4757",
        button_secondary_text_color="#1a2230",
        button_secondary_text_color_dark="#eaeef4",
        slider_color="#5643bd",
        slider_color_dark="#8b7bf0",
        shadow_drop="none",
        shadow_drop_lg="none",
        block_shadow="none",
    )
