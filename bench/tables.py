"""Write the tables of docs/*/benchmarks.md from bench/results/*.json, so that no figure is typed by hand.

A table stands between `<!-- table:NAME -->` and `<!-- end -->`; where there is no result yet, nothing does.
Usage: python bench/tables.py
"""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"
LANGUAGES = ("en", "zh-CN")
MARKED = re.compile(r"(<!-- table:([a-z]+) -->\n).*?(<!-- end -->)", re.DOTALL)

WORDS: dict[str, dict[str, str]] = {
    "network": {"en": "network", "zh-CN": "网络"},
    "augmentation": {"en": "augmentation", "zh-CN": "增强"},
    "images/s": {"en": "{name}, images/s", "zh-CN": "{name}，张/秒"},
    "limit": {"en": "limit", "zh-CN": "上限"},
    "limit kept": {"en": "limit, memory kept", "zh-CN": "上限（保留内存）"},
    "goal": {"en": "goal", "zh-CN": "目标"},
    "without": {"en": "without recording, s", "zh-CN": "不记录，秒"},
    "with": {"en": "with recording, s", "zh-CN": "记录，秒"},
    "cost": {"en": "cost of recording", "zh-CN": "记录的代价"},
    "command": {"en": "command", "zh-CN": "命令"},
    "milliseconds": {"en": "median, ms", "zh-CN": "中位数，毫秒"},
    "task": {"en": "task", "zh-CN": "任务"},
    "accuracy": {"en": "test accuracy, median", "zh-CN": "测试准确率，中位数"},
    "seeds": {"en": "single seeds", "zh-CN": "各个种子"},
    "macs": {"en": "MMAC", "zh-CN": "百万次乘加"},
    "parameters": {"en": "weights", "zh-CN": "权重数"},
    "epochs": {"en": "epochs", "zh-CN": "轮数"},
    "seconds": {"en": "training, s", "zh-CN": "训练，秒"},
    "memory": {"en": "peak memory, GB", "zh-CN": "内存峰值，GB"},
    "at least": {"en": "at least {goal}", "zh-CN": "不低于 {goal}"},
    "at most": {"en": "at most {goal}", "zh-CN": "不超过 {goal}"},
    "measured of": {"en": "what", "zh-CN": "内容"},
    "against": {"en": "against", "zh-CN": "对照"},
    "figure": {"en": "figure", "zh-CN": "数值"},
    "cost of a pass": {"en": "cost / one forward pass", "zh-CN": "代价 / 一次前向"},
    "six together": {"en": "six CAMs together", "zh-CN": "六种 CAM 一起"},
    "ten classes": {"en": "ten classes / one class", "zh-CN": "十个类别 / 一个类别"},
    "faster": {"en": "{ratio:.2f} times as fast", "zh-CN": "快 {ratio:.2f} 倍"},
    "growth": {
        "en": "memory of {images:,} images, growth after the first thousand, MiB",
        "zh-CN": "{images:,} 张图像，第一千张之后的内存增长，MiB",
    },
    "in the cell": {"en": "share of the map in the right cell", "zh-CN": "落在正确格子里的比例"},
    "peaks": {"en": "highest place in the right cell", "zh-CN": "最高点在正确格子里"},
    "random map": {"en": "random map", "zh-CN": "随机图"},
    "images": {"en": "images", "zh-CN": "图像"},
    "engine": {"en": "engine", "zh-CN": "引擎"},
    "view": {"en": "view {view}, gzipped, kB", "zh-CN": "视图 {view}，gzip，kB"},
    "widget": {"en": "notebook bundle, kB", "zh-CN": "笔记本文件，kB"},
    "runtime": {"en": "runtime of a live report, kB", "zh-CN": "可交互报告的运行时，kB"},
    "wheel": {"en": "wheel, kB", "zh-CN": "wheel，kB"},
    "paint": {"en": "first paint of the studio, ms", "zh-CN": "工作台首次绘制，毫秒"},
    "layers": {"en": "from the address to all layers' maps, ms", "zh-CN": "从打开地址到所有层的图，毫秒"},
    "stroke": {"en": "from a stroke to all layers' maps, ms", "zh-CN": "从一笔到所有层的图，毫秒"},
    "digits": {"en": "drawn digits read right, of {of}", "zh-CN": "手绘数字识别正确，共 {of} 个"},
    "film": {"en": "film over 200 snapshots, frames/s", "zh-CN": "200 个快照的影片，帧/秒"},
    "frame": {"en": "ResNet-18, every channel of layers 1 to 4, kB", "zh-CN": "ResNet-18，第 1 至 4 层全部通道，kB"},
    "drop": {
        "en": "ResNet-18, from the dropped photograph to the answer, ms",
        "zh-CN": "ResNet-18，从放入照片到回答，毫秒",
    },
    "report": {"en": "report with 1,000 test images, kB", "zh-CN": "含 1,000 张测试图像的报告，kB"},
    "step": {"en": "training step, batch {batch}", "zh-CN": "训练一步，批大小 {batch}"},
    "step memory": {"en": "peak memory of a step / its activations", "zh-CN": "一步的内存峰值 / 激活值"},
    "time of": {"en": "{ratio:.2f} times its time", "zh-CN": "其耗时的 {ratio:.2f} 倍"},
    "learnt": {"en": "test accuracy on {data}", "zh-CN": "{data} 测试准确率"},
    "alternating": {
        "en": "Medians of {rounds} rounds that alternate in one process, where freed memory is kept for all; "
        "every peer at its best batch size.",
        "zh-CN": "在同一进程中交替进行 {rounds} 轮取中位数，释放的内存对所有对象都保留；各对照方取其最快的批大小。",
    },
    "machine": {
        "en": "Measured {measured} on {processor} ({cores} cores, {threads} threads), Python {python}, torch {torch}.",
        "zh-CN": "{measured} 测于 {processor}（{cores} 核，{threads} 线程），Python {python}，torch {torch}。",
    },
    "rounds": {
        "en": "Medians of {rounds} rounds that alternate in one process.",
        "zh-CN": "在同一进程中交替进行 {rounds} 轮，取中位数。",
    },
    "rounds apart": {
        "en": "Medians of {rounds} rounds that alternate, each loop in a process of its own.",
        "zh-CN": "交替进行 {rounds} 轮，每种循环各用一个进程，取中位数。",
    },
    "loader": {
        "en": "Batch {batch}, {images:,} images. The peers' loader has the better number of workers: {workers}.",
        "zh-CN": "批大小 {batch}，{images:,} 张图像；对照方的加载器使用较快的工作进程数：{workers}。",
    },
}


def word(key: str, language: str, **values: Any) -> str:
    """A text of `WORDS` in a language, filled."""
    return WORDS[key][language].format(**values)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def origin(result: Mapping[str, Any], language: str) -> str:
    """When and on what a result was measured."""
    return word("machine", language, measured=result["measured"], **result["machine"])


def train(results: Sequence[Mapping[str, Any]], language: str) -> str:
    """Images per second beside the peers and the limit, with the goals."""
    (result,) = results
    loops = {
        "opsin": "Opsin",
        "pytorch": "PyTorch",
        "lightning": "Lightning",
        "limit": word("limit", language),
        "limit, memory kept": word("limit kept", language),
    }
    header = [
        word("network", language),
        word("augmentation", language),
        *(word("images/s", language, name=name) for name in loops.values()),
        "Opsin / PyTorch",
        "Opsin / Lightning",
        word("goal", language),
        f"Opsin / {loops['limit']}",
        f"Opsin / {loops['limit, memory kept']}",
        word("goal", language),
    ]
    rows = [
        [
            row["network"],
            row["augmentation"],
            *(f"{statistics.median(row['images_per_second'][loop]):,.0f}" for loop in loops),
            f"{row['opsin_to_pytorch']:.2f}",
            f"{row['opsin_to_lightning']:.2f}",
            word("at least", language, goal=f"{row['goal_to_peers']:.1f}"),
            f"{row['opsin_to_limit']:.3f}",
            f"{row['opsin_to_limit_memory_kept']:.3f}",
            word("at least", language, goal=row["goal_to_limit"]),
        ]
        for row in result["rows"]
    ]
    workers = ", ".join(str(row["peers_workers"]) for row in result["rows"])
    loader = word("loader", language, batch=result["batch"], images=result["images"], workers=workers)
    rounds = word("rounds apart", language, rounds=result["rounds"])
    return f"{table(header, rows)}\n{origin(result, language)}\n{rounds}\n{loader}\n"


def record(results: Sequence[Mapping[str, Any]], language: str) -> str:
    """What recording costs, with the goal."""
    (result,) = results
    header = [word(key, language) for key in ("network", "without", "with", "cost", "goal")]
    rows = [
        [
            row["network"],
            f"{statistics.median(row['seconds']['not recording']):.2f}",
            f"{statistics.median(row['seconds']['recording']):.2f}",
            f"{row['overhead']:+.1%}",
            word("at most", language, goal=f"{row['goal']:.0%}"),
        ]
        for row in result["rows"]
    ]
    rounds = word("rounds", language, rounds=result["rounds"])
    return f"{table(header, rows)}\n{origin(result, language)}\n{rounds}\n"


def startup(results: Sequence[Mapping[str, Any]], language: str) -> str:
    """How long whole processes take, with the goal of the first."""
    (result,) = results
    header = [word(key, language) for key in ("command", "milliseconds", "goal")]
    rows = [
        [f"`{name}`", f"{value:.0f}", word("at most", language, goal=result["goal"]) if name == "opsin --help" else ""]
        for name, value in result["medians"].items()
    ]
    return f"{table(header, rows)}\n{origin(result, language)}\n"


def accuracy(results: Sequence[Mapping[str, Any]], language: str) -> str:
    """Test accuracy per task, with the goal, and what it took."""
    keys = ("task", "accuracy", "goal", "seeds", "macs", "parameters", "epochs", "seconds", "memory")
    header = [word(key, language) for key in keys]
    rows = [_accuracy_row(result, language) for result in results]
    origins = "\n".join(dict.fromkeys(origin(result, language) for result in results))
    return f"{table(header, rows)}\n{origins}\n"


def _accuracy_row(result: Mapping[str, Any], language: str) -> list[str]:
    runs, memory = result["runs"], result["peak_memory_bytes"]

    def middle(name: str) -> float:
        return statistics.median(run[name] for run in runs)

    return [
        result["task"],
        f"{result['median']:.2%}",
        word("at least", language, goal=f"{result['goal']:.1%}"),
        ", ".join(f"{run['accuracy']:.2%}" for run in runs),
        f"{middle('macs') / 1e6:.1f}",
        f"{middle('parameters'):,.0f}",
        f"{middle('epochs'):.0f}",
        f"{middle('training_seconds'):.0f}",
        f"{memory / 1e9:.2f}" if memory else "",
    ]


def explain(results: Sequence[Mapping[str, Any]], language: str) -> str:
    """Explanations beside the peers, one line per comparison."""
    header = [word(key, language) for key in ("network", "measured of", "against", "figure", "goal")]
    rows: list[list[str]] = []
    for result in results:
        for row in result.get("rows", ()):
            rows += _explained(row, language)
    origins = _origins(results, language)
    return f"{table(header, rows)}\n{origins}\n"


def _explained(row: Mapping[str, Any], language: str) -> list[list[str]]:
    def line(what: str, against: str, figure: str, goal: str) -> list[str]:
        return [row["network"].split("/")[-1], what, against, figure, goal]

    if "ten_to_one" in row:
        goal = word("at most", language, goal=row["goal"])
        return [line("grad_cam", word("ten classes", language), f"{row['ten_to_one']:.2f}", goal)]
    lines = []
    if "to_forward" in row:
        cost, six = word("cost of a pass", language), word("six together", language)
        lines += [
            line(
                "grad_cam",
                cost,
                f"{row['to_forward']:.2f}",
                word("at most", language, goal=f"{row['goal_to_forward']:.2f}"),
            ),
            line(
                six,
                cost,
                f"{row['together_to_forward']:.2f}",
                word("at most", language, goal=f"{row['goal_together']:.2f}"),
            ),
        ]
    lines += [
        line(
            row["method"], peer, word("faster", language, ratio=ratio),
            word("at least", language, goal=f"{row['goals'][peer]:.1f}"),
        )
        for peer, ratio in row["faster_than"].items()
    ]  # fmt: skip
    lines += [
        line(f"{row['method']}, engine=fused", peer, word("faster", language, ratio=ratio), "")
        for peer, ratio in row.get("fused_faster_than", {}).items()
    ]
    return lines


def evidence(results: Sequence[Mapping[str, Any]], language: str) -> str:
    """ROAD and deletion beside the peers."""
    header = [word(key, language) for key in ("measured of", "images", "against", "figure", "goal")]
    names = {"road": ("ROAD", "pytorch-grad-cam"), "flipping": ("deletion", "Quantus")}
    rows = [
        [
            names[result["part"]][0],
            f"{row['images']}, {row['case']}",
            names[result["part"]][1],
            word("faster", language, ratio=row["faster"]),
            word("at least", language, goal=f"{row['goal']:.0f}"),
        ]
        for result in results
        if result["part"] in names
        for row in result["rows"]
    ]
    return f"{table(header, rows)}\n{_origins([r for r in results if r['part'] in names], language)}\n"


def pointing(results: Sequence[Mapping[str, Any]], language: str) -> str:
    """The grid pointing game, with its goals."""
    result = next(result for result in results if result["part"] == "pointing")
    header = [word(key, language) for key in ("measured of", "in the cell", "goal", "random map", "peaks")]
    rows = [
        [
            f"`{row['method']}`",
            f"{row['in_the_right_cell']:.3f}",
            word("at least", language, goal=f"{row['goal']:.2f}"),
            f"{row['random']:.3f}",
            row["peaks"],
        ]
        for row in result["rows"]
    ]
    return f"{table(header, rows)}\n{origin(result, language)}\n"


def memory(results: Sequence[Mapping[str, Any]], language: str) -> str:
    """Memory of a long set of explanations."""
    (result,) = results
    first, last = result["points"][0][1], max(size for _, size in result["points"])
    header = [word(key, language) for key in ("network", "measured of", "figure", "goal")]
    row = [
        result["network"],
        word("growth", language, images=result["images"]),
        f"{(last - first) / 2**20:.1f}",
        word("at most", language, goal=50),
    ]
    return f"{table(header, [row])}\n{origin(result, language)}\n"


def web(results: Sequence[Mapping[str, Any]], language: str) -> str:
    """Sizes and times of the views, with their goals."""
    header = [word(key, language) for key in ("measured of", "figure", "goal")]
    rows = [
        [
            word(row["what"], language, **{key: row[key] for key in ("view", "of") if key in row}),
            f"{row['figure']:,.0f}",
            "" if row["goal"] is None else word(row["bound"], language, goal=f"{row['goal']:,}"),
        ]
        for result in results
        for row in result["rows"]
    ]
    return f"{table(header, rows)}\n{origin(results[0], language)}\n"


def scratch(results: Sequence[Mapping[str, Any]], language: str) -> str:
    """The NumPy engine beside PyTorch and its own loops; its memory and accuracy."""
    header = [word(key, language) for key in ("measured of", "against", "figure", "goal")]
    rows = []
    for row in (row for result in results for row in result["rows"]):
        if "accuracy" in row:
            low, high = row["interval"]
            what, against = word("learnt", language, data=row["data"]), ""
            figure = f"{row['accuracy']:.1%} [{low:.1%}, {high:.1%}]"
            goal = word("at least", language, goal=f"{row['goal']:.1%}")
        elif "peak_bytes" in row:
            what, against, figure = word("step memory", language), "", f"{row['times']:.1f}"
            goal = word("at most", language, goal=row["goal"])
        else:
            slower = row["against"] == "loops"
            what, against = word("step", language, batch=row["batch"]), row["against"]
            figure = word("faster" if slower else "time of", language, ratio=row["times"])
            goal = word("at least" if slower else "at most", language, goal=row["goal"])
        rows.append([what, against, figure, goal])
    return f"{table(header, rows)}\n{_origins(results, language)}\n"


def _origins(results: Sequence[Mapping[str, Any]], language: str) -> str:
    lines = [origin(result, language) for result in results if "rows" in result]
    rounds = [word("alternating", language, rounds=result["rounds"]) for result in results if "rows" in result]
    return "\n".join(dict.fromkeys([*lines, *rounds]))


TABLES: dict[str, Callable[[Sequence[Mapping[str, Any]], str], str]] = {
    "train": train,
    "record": record,
    "startup": startup,
    "accuracy": accuracy,
    "explain": explain,
    "evidence": evidence,
    "pointing": pointing,
    "memory": memory,
    "web": web,
    "scratch": scratch,
}
SHARED = {"pointing": "evidence", "memory": "explain-set"}  # tables whose results have another name


def results_of(name: str, folder: Path = RESULTS) -> list[dict[str, Any]]:
    """The results of a benchmark: `NAME.json`, or every `NAME-*.json` in order of name."""
    name = SHARED.get(name, name)
    files = [*folder.glob(f"{name}.json"), *sorted(folder.glob(f"{name}-*.json"))]
    return [json.loads(file.read_text(encoding="utf-8")) for file in files]


def filled(text: str, language: str, folder: Path = RESULTS) -> str:
    """A page with its tables as the results have them."""

    def fill(marked: re.Match[str]) -> str:
        begin, name, end = marked.groups()
        results = results_of(name, folder)
        # Markdown needs an empty line before and after a table
        return f"{begin}\n{TABLES[name](results, language)}\n{end}" if results else f"{begin}{end}"

    return MARKED.sub(fill, text)


def main() -> None:
    for language in LANGUAGES:
        page = ROOT / "docs" / language / "benchmarks.md"
        page.write_text(filled(page.read_text(encoding="utf-8"), language), encoding="utf-8", newline="\n")
        print(f"written: {page}")


if __name__ == "__main__":
    main()
