"""`opsin.inside`: what the inside of a network responds to.

Each function stands in a module of its own name. They are imported here at once: a name of this package is always the
function and never the module.
"""

from opsin.explanation.inside.feature_maps import feature_maps
from opsin.explanation.inside.receptive import receptive_field
from opsin.explanation.inside.top_images import top_images

__all__ = ["feature_maps", "receptive_field", "top_images"]
