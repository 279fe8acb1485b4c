"""Why a Classifier answers as it does: maps of the input, arithmetic of one number, what the inside responds to."""

import lazy_loader

# `opsin.inside` is this package's module of that name; it is imported, and PyTorch with it, when it is first used
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submodules=["inside"])
