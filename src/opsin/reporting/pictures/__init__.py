"""Explanations as pictures: overlays, contact sheets and grids of methods, for PNG."""

from opsin.reporting.pictures.grid import method_grid
from opsin.reporting.pictures.inside import dream_film, dream_sheet, feature_sheet, filter_sheet
from opsin.reporting.pictures.overlays import display_pixels, overlay, overlay_original
from opsin.reporting.pictures.sheet import contact_sheet
from opsin.reporting.pictures.shortcut import shortcut_sheet
from opsin.reporting.pictures.single import overlay_of
from opsin.reporting.pictures.top_images import top_images_sheet

__all__ = [
    "contact_sheet",
    "display_pixels",
    "dream_film",
    "dream_sheet",
    "feature_sheet",
    "filter_sheet",
    "method_grid",
    "overlay",
    "overlay_of",
    "overlay_original",
    "shortcut_sheet",
    "top_images_sheet",
]
