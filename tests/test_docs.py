"""The documentation: equal in both languages, without dead links, and true where a machine can tell."""

from __future__ import annotations

import importlib.util
import inspect
import json
import re
import shlex
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import pyarrow.parquet as pq
import pytest
from cyclopts.exceptions import CycloptsError

import opsin
from opsin.cli import VERBS, app
from opsin.files import read_tensors
from opsin.training.recipe import Recipe

ROOT = Path(__file__).parent.parent
LANGUAGES = ("en", "zh-CN")
PAGES = {
    language: sorted(path.relative_to(ROOT / "docs" / language) for path in (ROOT / "docs" / language).rglob("*.md"))
    for language in LANGUAGES
}
SINGLE = [ROOT / name for name in ("README.md", "README.zh-CN.md", "CONTRIBUTING.md", "CHANGELOG.md")]
FILES = [*SINGLE, *(ROOT / "docs" / language / page for language in LANGUAGES for page in PAGES[language])]
TWINS = [(ROOT / "docs/en" / page, ROOT / "docs/zh-CN" / page) for page in PAGES["en"]]
TWINS.append((ROOT / "README.md", ROOT / "README.zh-CN.md"))

FENCE = re.compile(r"^```([a-z]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^(#{1,6}) (.+)$", re.MULTILINE)
ABSOLUTE = re.compile(r"(?<![\w.~:/<])/(?:home|root|usr|tmp|work|opt|var|mnt|Users|data)/|\b[A-Z]:\\\\?\w")


class Block(NamedTuple):
    """A fenced block: its language ("" for none) and its text."""

    language: str
    text: str


def blocks(text: str) -> list[Block]:
    return [Block(*found) for found in FENCE.findall(text)]


def prose(text: str) -> str:
    """The text without fenced blocks: a `#` in one is no heading."""
    return FENCE.sub("", text)


def headings(text: str) -> list[int]:
    """The level of each heading, in order."""
    return [len(marks) for marks, _ in HEADING.findall(prose(text))]


def anchors(text: str) -> set[str]:
    """What a link can point to: headings in small letters, spaces as hyphens, other signs left out."""
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for _, title in HEADING.findall(prose(text))}


def dead_links(path: Path, text: str) -> list[str]:
    """Relative links of a page that lead nowhere."""
    dead = []
    for target in LINK.findall(prose(text)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = unquote(target).partition("#")
        file = (path.parent / name).resolve() if name else path
        lost = not file.exists() or (anchor and anchor not in anchors(file.read_text("utf-8")))
        dead += [target] if lost else []
    return dead


def commands(text: str) -> list[list[str]]:
    """The tokens behind `opsin` of every command line in fenced blocks; comments are no part of a command."""
    lines = "\n".join(block.text for block in blocks(text) if block.language in ("", "sh")).replace("\\\n", " ")
    found = []
    for line in lines.splitlines():
        # a prompt, variables for one command (`NAME=value opsin ...`) and the program's folder may stand before it
        command = re.match(r"(?:\$ )?(?:\w+=\S+ )*(?:\S*[/\\])?opsin (.*)", line)
        if command:
            found.append(shlex.split(command[1], comments=True))
    return found


def refusal(tokens: list[str]) -> str | None:
    """Why the command line would not take these tokens, or None. Nothing is run."""
    if tokens in (["--help"], ["--version"]):
        return None
    if tokens[0] not in VERBS:
        return f"there is no verb {tokens[0]}"
    if tokens[1:] == ["--help"]:
        return None
    try:
        app.parse_args(tokens, exit_on_error=False, print_error=False, help_on_error=False)
    except CycloptsError as error:
        return " ".join(str(error).split())
    return None


def table_names(text: str) -> set[str]:
    """What the tables of a page name in their first column."""
    first = re.findall(r"^\|([^|]*)\|", text, re.MULTILINE)
    return {name for cell in first for name in re.findall(r"`([^`]+)`", cell)}


def test_there_are_pages_in_both_languages():
    assert len(PAGES["en"]) > 10
    assert PAGES["en"] == PAGES["zh-CN"]


@pytest.mark.parametrize(("english", "chinese"), TWINS, ids=lambda path: path.name)
def test_both_languages_have_the_same_outline(english, chinese):
    assert headings(english.read_text("utf-8")) == headings(chinese.read_text("utf-8"))


@pytest.mark.parametrize(("english", "chinese"), TWINS, ids=lambda path: path.name)
def test_both_languages_have_the_same_blocks_and_rows(english, chinese):
    pair = [path.read_text("utf-8") for path in (english, chinese)]
    kinds = [[block.language for block in blocks(text)] for text in pair]
    rows = [len(re.findall(r"^\|", text, re.MULTILINE)) for text in pair]
    assert kinds[0] == kinds[1]
    assert rows[0] == rows[1]


def test_every_page_is_reachable_from_the_index():
    for language in LANGUAGES:
        folder = ROOT / "docs" / language
        linked = {(folder / link).resolve() for link in LINK.findall((folder / "index.md").read_text("utf-8"))}
        missing = [page for page in PAGES[language] if page.name != "index.md" and folder / page not in linked]
        assert not missing


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_page_has_a_dead_link(path):
    assert not dead_links(path, path.read_text("utf-8"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_command_line_would_be_taken(path):
    refused = {" ".join(tokens): reason for tokens in commands(path.read_text("utf-8")) if (reason := refusal(tokens))}
    assert not refused


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_python_block_compiles(path):
    for block in blocks(path.read_text("utf-8")):
        if block.language == "python":
            compile(block.text, path.name, "exec")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_page_names_a_place_on_one_machine(path):
    assert not ABSOLUTE.findall(path.read_text("utf-8"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_fences_are_closed(path):
    text = path.read_text("utf-8")
    assert len(re.findall(r"^```", text, re.MULTILINE)) == 2 * len(blocks(text))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_recipe_page_names_every_setting_and_its_default(language):
    text = (ROOT / "docs" / language / "reference/recipe.md").read_text("utf-8")
    # rows with five columns: name, default, range, meaning, needs
    defaults = dict(re.findall(r"^\| `(\w+)` \| ([^|]*) \|[^|]*\|[^|]*\|[^|]*\|$", text, re.MULTILINE))
    assert set(defaults) == set(Recipe.model_fields)
    written = {name: shown(field.default) for name, field in Recipe.model_fields.items() if field.default is not None}
    assert {name: defaults[name].strip("`") for name in written} == written


def shown(value: bool | float | str) -> str:
    """A default as the page writes it."""
    return value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else f"{value:g}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_command_page_names_every_verb_and_flag(language):
    text = (ROOT / "docs" / language / "reference/command-line.md").read_text("utf-8")
    titles = {title for _, title in HEADING.findall(prose(text))}
    for verb in VERBS:
        assert f"opsin {verb}" in titles
        section = text.partition(f"## opsin {verb}\n")[2].partition("\n## ")[0]
        named = {flag for cell in table_names(section) for flag in re.findall(r"--[a-z-]+", cell)}
        assert own_flags(verb) == named, verb


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_python_page_names_every_public_name(language):
    text = (ROOT / "docs" / language / "reference/python.md").read_text("utf-8")
    titles = {title for _, title in HEADING.findall(prose(text))}
    assert {f"opsin.{name}" for name in opsin.__all__} <= titles


def own_flags(verb: str) -> set[str]:
    """The flags of a verb that are not settings of a Recipe, in their plain form (`--json`, not `--no-json`)."""
    arguments = [
        argument
        for argument in app[verb].assemble_argument_collection()
        if not set(argument.keys) & set(Recipe.model_fields)
    ]
    return {name for item in arguments for name in item.names if name.startswith("--") and name not in item.negatives}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_python_page_has_the_real_signatures(language):
    text = (ROOT / "docs" / language / "reference/python.md").read_text("utf-8")
    for name in opsin.__all__:
        function = getattr(opsin, name)
        if inspect.isfunction(function):
            section = text.partition(f"### opsin.{name}\n")[2].partition("\n##")[0]
            written = re.search(rf"^`{name}\((.*)\)( -> .*)?`$", section, re.MULTILINE)
            assert written, name
            assert parameters(eval(f"lambda {written[1]}: 0")) == parameters(function), name


def parameters(function) -> list[tuple]:
    """Name, kind and default of each parameter."""
    return [(item.name, item.kind, item.default) for item in inspect.signature(function).parameters.values()]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_run_folder_page_names_everything_in_a_run(language, digits_run):
    text = (ROOT / "docs" / language / "reference/run-folder.md").read_text("utf-8")
    named = set(re.findall(r"`([\w-]+)[`/]", text))
    found = {"run.json": set(digits_run.info)}
    for part in ("model", "data", "probe", "preprocess"):
        found[part] = set(digits_run.info[part])
    for name in ("steps", "epochs"):
        found[name] = {key for line in getattr(digits_run, name) for key in line}
    for name in ("splits", "predictions"):
        found[name] = set(pq.read_schema(digits_run.path / f"{name}.parquet").names)
    for path in digits_run.path.rglob("*.safetensors"):
        if path.parent.name != "weights":  # there the names are those of the network's own layers
            groups = {re.split(r"[/|]", name)[0] for name in read_tensors(path)[0]}
            found.setdefault(path.parent.name, set()).update(groups)
    assert {name: keys - named for name, keys in found.items() if keys - named} == {}
    assert [path.name for path in digits_run.path.iterdir() if path.name not in text] == []


def bench_tables():
    """The script that fills the benchmark pages; `bench` is no package."""
    spec = importlib.util.spec_from_file_location("bench_tables", ROOT / "bench" / "tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_benchmark_page_says_what_the_results_say(language):
    text = (ROOT / "docs" / language / "benchmarks.md").read_text("utf-8")
    assert bench_tables().filled(text, language) == text, "run python bench/tables.py"


@pytest.mark.parametrize("language", LANGUAGES)
def test_benchmark_tables_are_filled_from_results(language, tmp_path):
    machine = {"processor": "P", "cores": 2, "threads": 1, "python": "3.11", "torch": "2.14"}
    head = {"measured": "2026-01-02", "machine": machine, "rounds": 3}
    loops = {"opsin": [90.0, 4321.0, 9000.0], "pytorch": [1.0], "lightning": [1.0], "limit": [1.0]}
    loops["limit, memory kept"] = [1.0]
    speed = {
        "network": "n",
        "augmentation": "a",
        "images_per_second": loops,
        "opsin_to_pytorch": 2.5,
        "peers_workers": 2,
    }
    speed |= {"opsin_to_lightning": 3.5, "opsin_to_limit": 0.961, "opsin_to_limit_memory_kept": 0.943}
    speed |= {"goal_to_peers": 2.3, "goal_to_limit": 0.95}
    cost = {"network": "n", "seconds": {"recording": [5.0], "not recording": [4.9]}, "overhead": 0.021, "goal": 0.03}
    run = {"accuracy": 0.9871, "macs": 2.6e6, "parameters": 225034, "epochs": 12, "training_seconds": 23.4}
    results = {
        "train": {**head, "batch": 128, "images": 12800, "rows": [speed]},
        "record": {**head, "rows": [cost]},
        "startup": {**head, "medians": {"opsin --help": 312.0}, "goal": 500},
        "accuracy-digits": {
            **head, "task": "digits", "goal": 0.985, "median": 0.9871, "runs": [run], "peak_memory_bytes": 7e8,
        },
    }  # fmt: skip
    page = "".join(f"<!-- table:{name} -->\n<!-- end -->\n" for name in ("train", "record", "startup", "accuracy"))
    assert bench_tables().filled(page, language, tmp_path) == page
    for name, result in results.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(result), "utf-8")
    text = bench_tables().filled(page, language, tmp_path)
    for figure in (
        "4,321",
        "2.50",
        "3.50",
        "0.961",
        "0.943",
        "+2.1%",
        "312",
        "98.71%",
        "98.5%",
        "225,034",
        "0.70",
        "2026-01-02",
    ):
        assert figure in text
    assert bench_tables().filled(text, language, tmp_path) == text


# -- the checks themselves can fail --


def test_a_dead_link_is_seen(tmp_path):
    page = tmp_path / "page.md"
    text = "# One\n[there](page.md#one) [gone](no.md) [lost](page.md#two) [out](https://example.org)\n"
    page.write_text(text, "utf-8")
    assert dead_links(page, text) == ["no.md", "page.md#two"]


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("opsin fly flowers/", "no verb"),
        ("opsin train flowers/ --fliip", "--fliip"),
        ("opsin train flowers/ --epochs many", "many"),
        ("OMP_NUM_THREADS=2 opsin train flowers/ --sizes 3", "--sizes"),
        ("$ .venv/bin/opsin predict", "model"),
    ],
)
def test_a_wrong_command_line_is_seen(line, part):
    (tokens,) = commands(f"```\n{line}   # why\n```\n")
    assert part.lower() in (refusal(tokens) or "").lower()


def test_a_hash_in_a_block_is_no_heading():
    assert headings("# One\n```\n# no\n```\n## Two\n") == [1, 2]


@pytest.mark.parametrize("text", ["see /home/me/x", r"C:\Users", "(/usr/share/x)"])
def test_an_absolute_path_is_seen(text):
    assert ABSOLUTE.search(text)


@pytest.mark.parametrize("text", ["docs/data/x", "runs/tmp/", "https://example.org/data/x", "and/or"])
def test_a_relative_path_is_let_through(text):
    assert not ABSOLUTE.search(text)
