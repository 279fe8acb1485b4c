"""`opsin compare`."""

from __future__ import annotations


def compare(model_a: str, model_b: str, data: str, /, *, seed: int = 0, json: bool = False) -> int:
    """Where two models answer differently on the same labelled images, and whether chance explains it.

    Args:
        model_a: the first model: a run or a .safetensors file.
        model_b: the second model.
        data: what `opsin train` takes; images that either model was trained or tuned on are left out.
        seed: of the splits and of the bootstrap.
        json: print one JSON document.
    """
    from opsin.cli.show import comparison_text, document, progress
    from opsin.evidence.compare import compare as compare_models

    with progress() as advance:
        result = compare_models(model_a, model_b, data, seed=seed, progress=advance)
    if json:
        document(result.as_dict())
    else:
        print(comparison_text(result))
    return 0
