"""`opsin methods`."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from opsin.cli.own import Own


def methods(
    model: str | None = None,
    /,
    *,
    own: Annotated[Own, Parameter(name="*")] = Own(),  # noqa: B008 (frozen)
    json: bool = False,
) -> int:
    """List the methods of explanation: what each needs and costs, where it is known to fail, and which to begin with.

    Args:
        model: recommend for this one: a run, a .safetensors or .onnx file, a network with pretrained weights, or
            my.py:CNN with --weights and --size. Without it: for each kind of network.
        json: print one JSON document.
    """
    from opsin.cli.show import document, table
    from opsin.explanation.methods import METHODS
    from opsin.explanation.recommend import ADVICE, BLACK_BOX, recommend

    advice = None if model is None else recommend(own.open(model))
    if json:
        shown = ("family", "title", "needs", "cost", "fails", "layer", "class_specific", "stochastic", "black_box")
        rows = [{"name": name, **{key: getattr(item, key) for key in shown}} for name, item in METHODS.items()]
        found: dict[str, Any] = {"methods": rows, "by_architecture": [vars(item) for item in (*ADVICE, BLACK_BOX)]}
        document(found if advice is None else {**found, "recommended": vars(advice)})
        return 0
    print(table(
        ("method", "family", "passes", "needs"),
        [(name, item.family, item.cost, item.needs) for name, item in METHODS.items()],
    ))  # fmt: skip
    print("\nwhere it is known to mislead")
    print(table(("", ""), [(f"  {name}", item.fails) for name, item in METHODS.items()]).split("\n", 1)[1])
    if advice is None:
        print("\nto begin with")
        for item in (*ADVICE, BLACK_BOX):
            print(f"  {item.method:<24}{item.kind}: {item.reason}")
    else:
        layer = f", layer {advice.layer}" if advice.layer else ""
        settings = "".join(f", {name}={value}" for name, value in advice.options.items())
        print(f"\nrecommended for {model}: {advice.method}{layer}{settings}\n  {advice.reason}")
    return 0
