"""The catalogue: complete in every language, and nothing in it is unused."""

import re
import string
from pathlib import Path

import pytest

import opsin.reporting
from opsin.reporting.texts import LANGUAGES, Catalogue, packaged, say

FOLDER = Path(opsin.reporting.__file__).parent


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_every_entry_has_every_language_with_the_same_values():
    for key, texts in packaged().entries.items():
        assert set(texts) == set(LANGUAGES), key
        wanted = fields(texts["en"])

        assert fields(texts["zh-CN"]) == wanted, key


def test_chinese_texts_are_chinese_and_use_full_width_marks():
    same = {"unit.share", "unit.count", "unit.text", "embeddings.pca", "embeddings.tsne", "event.other"}
    for key, texts in packaged().entries.items():
        assert key in same or re.search("[\u4e00-\u9fff]", texts["zh-CN"]), key
        outside = re.sub(r"\{[^}]*\}|step\(\)", "", texts["zh-CN"])
        assert not re.search(r"[,;:?()]", outside), key


def test_no_entry_is_unused():
    sources = "\n".join(path.read_text("utf-8") for path in FOLDER.rglob("*") if path.suffix in (".py", ".html"))
    prefixes = set(re.findall(r"""["'](\w+\.\w*)(?:["'] ~|\{)""", sources))
    suffixes = {".title", ".short"}  # of every section
    unused = [
        key
        for key in packaged().entries
        if f'"{key}"' not in sources
        and not any(key.startswith(prefix) for prefix in prefixes)
        and not any(key.endswith(suffix) for suffix in suffixes)
    ]
    assert unused == []


@pytest.fixture
def catalogue():
    return Catalogue(
        {
            "a.images": {"en": "{count:,} {count:#image|images}", "zh-CN": "{count:,} 张图像"},
            "a.share": {"en": "{share:.1%}", "zh-CN": "{share:.1%}"},
            "a.list": {"en": "of {names}", "zh-CN": "{names} 的"},
        }
    )


def test_numbers_shares_lists_and_nested_texts(catalogue):
    assert catalogue.lower(say("a.images", count=1), "en") == "1 image"
    assert catalogue.lower(say("a.images", count=1200), "en") == "1,200 images"
    assert catalogue.lower(say("a.share", share=0.1234), "en") == "12.3\u202f%"
    assert catalogue.lower(say("a.share", share=0.1234), "zh-CN") == "12.3%"
    both = say("a.list", names=("x", say("a.images", count=2)))
    assert catalogue.lower(both, "en") == "of x, 2 images"
    assert catalogue.lower(both, "zh-CN") == "x、2 张图像 的"


def test_data_in_a_text_is_never_a_template(catalogue):
    assert catalogue.lower(say("a.list", names="{count.__class__}"), "en") == "of {count.__class__}"


def test_a_missing_value_is_an_error(catalogue):
    with pytest.raises(KeyError):
        catalogue.lower(say("a.images"), "en")
