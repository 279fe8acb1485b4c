"""What a person sees: plain lines when piped, a live bar on a terminal."""

import io

from rich.console import Console

from opsin.training.view import Lines, Live, Quiet, epoch_text

LINE = {
    "epoch": 3,
    "train_loss": 0.25,
    "loss": 0.5,
    "accuracy": 0.9,
    "seconds": 1.5,
    "alarms": [{"message": "cat was forgotten"}],
}


def play(view):
    view.message("network seed_cnn")
    for done in (10, 20):
        view.work("decoding images", done, 20)
    view.begin(12, 2)
    for batch in range(1, 4):
        view.step(2, batch, 3, 0.5, 64)
    view.epoch(LINE)
    view.end()


def test_lines_say_what_matters_once():
    stream = io.StringIO()
    play(Lines(stream))
    assert stream.getvalue().splitlines() == [
        "network seed_cnn",
        "decoding images: 20",
        "going on after epoch 2 of 12",
        "epoch  3/12  train loss 0.2500  validation loss 0.5000  accuracy 90.00%  1.5 s",
        "  alarm: cat was forgotten",
    ]


def test_the_live_view_shows_rate_loss_and_alarms():
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=120, legacy_windows=False)
    view = Live(console)
    play(view)
    text = stream.getvalue()
    for part in ("network seed_cnn", "decoding images", "images/s", "loss 0.500", "epoch  3/12", "cat was forgotten"):
        assert part in text
    view.end()  # twice does no harm


def test_quiet_is_quiet(capsys):
    play(Quiet())
    assert capsys.readouterr() == ("", "")


def test_without_validation_no_accuracy_is_claimed():
    assert "accuracy" not in epoch_text({"epoch": 1, "train_loss": 1.0, "seconds": 2.0}, 3)
