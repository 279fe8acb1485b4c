"""`opsin datasets`."""

from __future__ import annotations


def datasets(*, json: bool = False) -> int:
    """List the sets of images that have a name, whether each is here, and what it needs.

    Args:
        json: print one JSON document.
    """
    from opsin.cli.show import document, table
    from opsin.data.load import EXPECTED
    from opsin.data.sources.index import INDEX
    from opsin.data.sources.published import data_folder

    here = {name: entry.here() for name, entry in INDEX.items()}
    if json:
        fields = ("what", "images", "classes", "size", "needs")
        rows = [
            {"name": name, "here": here[name], **{field: getattr(entry, field) for field in fields}}
            for name, entry in INDEX.items()
        ]
        document({"folder": data_folder(), "datasets": rows})
        return 0
    rows = [
        (
            name,
            entry.what,
            f"{entry.images:,}",
            str(entry.classes),
            entry.size,
            "yes" if here[name] else "no",
            entry.needs,
        )
        for name, entry in INDEX.items()
    ]
    print(table(("name", "what it shows", "images", "classes", "size", "here", "needs"), rows))
    print(f"\ndownloads go to {data_folder()} (OPSIN_DATA moves it)")
    print(f"opsin train takes {EXPECTED}")
    return 0
