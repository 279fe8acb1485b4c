"""`opsin.inside`: what the inside of a network responds to.

They are imported here at once: a name of this package is always the function, never a module of the same name.
"""

from opsin.explanation.inside.dreams.dream import dream
from opsin.explanation.inside.embed import embed
from opsin.explanation.inside.feature_maps import feature_maps
from opsin.explanation.inside.filters import filters
from opsin.explanation.inside.layers import layers
from opsin.explanation.inside.receptive import receptive_field
from opsin.explanation.inside.top_images import top_images

__all__ = ["dream", "embed", "feature_maps", "filters", "layers", "receptive_field", "top_images"]
