"""`opsin cache`."""

from __future__ import annotations


def cache(*, clear: bool = False, json: bool = False) -> int:
    """List what is kept from one use to the next: decoded images, and what was found in folders of images.

    All of it is made again when it is needed.

    Args:
        clear: delete all of it.
        json: print one JSON document.
    """
    from opsin.cli.show import document
    from opsin.data.cache import cache_folder, clear_cache, list_caches, size_text

    caches = clear_cache() if clear else list_caches()
    total = sum(one.bytes for one in caches)
    if json:
        document({"folder": cache_folder(), "cleared": clear, "bytes": total, "caches": [vars(one) for one in caches]})
    elif clear:
        print(f"deleted {size_text(total)} in {cache_folder()}")
    elif not caches:
        print(f"nothing in {cache_folder()}")
    else:
        print(_lines(caches))
        print(f"{size_text(total)} in {cache_folder()}   (opsin cache --clear)")
    return 0


def _lines(caches):
    import time

    from opsin.cli.show import table
    from opsin.data.cache import size_text

    rows = [
        (
            one.name, one.kind if one.complete else f"{one.kind}, not finished", f"{one.images:,}",
            size_text(one.bytes), _ago(time.time() - one.used), str(one.path),
        )
        for one in caches
    ]  # fmt: skip
    return table(("name", "what", "images", "size", "last used", "path"), rows)


def _ago(seconds):
    """`3 days ago`."""
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {unit}{'' if count == 1 else 's'} ago"
    return "just now"
