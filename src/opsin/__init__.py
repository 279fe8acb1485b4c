"""Opsin: image classifiers you can see through.

The public names are imported when they are first used, so that `import opsin` costs no PyTorch import (SPEC 1).
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ += ["__version__"]
