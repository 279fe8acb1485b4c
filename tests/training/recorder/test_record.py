"""The recorder in a person's own training loop."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import opsin
from opsin.errors import OpsinError
from opsin.files import read_json
from opsin.training.recorder.writer import Writer, append_line, cut_lines, read_lines


def small_net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(4 * 36, 3))


def train(net: nn.Module, steps: int, recording=None, lr: float = 0.1):
    optimiser = torch.optim.SGD(net.parameters(), lr=lr)
    torch.manual_seed(1)
    x, y = torch.randn(8, 1, 8, 8), torch.arange(8) % 3
    for _ in range(steps):
        optimiser.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        optimiser.step()
        if recording:
            recording.step(loss=loss.item(), lr=lr, images=8)


@pytest.fixture
def probe():
    return torch.linspace(-1, 1, 4 * 64).reshape(4, 1, 8, 8)


def test_a_loop_of_ones_own_is_recorded(tmp_path, probe):
    net = small_net()
    with opsin.record(net, probe, out=tmp_path / "run", labels=[0, 1, 2, 0], every=10) as recording:
        train(net, 25, recording)
    run = opsin.Run(tmp_path / "run")
    assert run.status == "finished"
    assert run.snapshot_steps == [0, 10, 20, 25]
    assert [line["step"] for line in run.steps][-1] == 25
    snapshot = run.snapshot(25)
    expected = F.softmax(net(probe), dim=1).detach().numpy()
    np.testing.assert_allclose(snapshot.probabilities, expected, atol=1e-6)
    with torch.no_grad():
        truth = net[0](probe).numpy()
    step = np.ptp(truth) / 255
    assert np.abs(snapshot.activations["0"] - truth).max() <= step
    np.testing.assert_allclose(snapshot.filters["0"], net[0].weight.detach().numpy(), atol=1e-3)
    assert sum(len(part._forward_hooks) for part in net.modules()) == 0
    assert all(p.grad is None or p.grad.shape == p.shape for p in net.parameters())


def test_recorded_gradients_are_those_of_the_score_at_the_layer(tmp_path, probe):
    net = small_net()
    labels = torch.tensor([0, 1, 2, 0])
    with opsin.record(net, probe, out=tmp_path / "run", labels=labels, every=10):
        pass
    snapshot = opsin.Run(tmp_path / "run").snapshot(0)
    activation = net[0](probe).detach().requires_grad_(True)
    logits = net[3](net[2](F.relu(activation)))
    expected = torch.autograd.grad(logits.gather(1, labels[:, None]).sum(), activation)[0].numpy()
    np.testing.assert_allclose(snapshot.gradients_label["0"], expected, atol=np.abs(expected).max() * 1e-3)


def test_recording_changes_nothing_in_the_training(tmp_path, probe):
    recorded, plain = small_net(), small_net()
    with opsin.record(recorded, probe, out=tmp_path / "run", every=3) as recording:
        train(recorded, 12, recording)
    train(plain, 12)
    for a, b in zip(recorded.parameters(), plain.parameters(), strict=True):
        assert torch.equal(a, b)


def test_gradient_norms_and_update_ratios_are_what_they_say(tmp_path, probe):
    net = small_net()
    with opsin.record(net, probe, out=tmp_path / "run", every=4) as recording:
        train(net, 3, recording)
        before = [p.detach().clone() for p in net[3].parameters()]
        train(net, 1, recording)
    line = next(line for line in opsin.Run(tmp_path / "run").steps if line["step"] == 4)
    moved = sum(
        float((new.detach() - old).square().sum()) for new, old in zip(net[3].parameters(), before, strict=True)
    )
    weight = sum(float(old.square().sum()) for old in before)
    assert line["update_ratios"]["3"] == pytest.approx((moved / weight) ** 0.5, rel=1e-4)
    norm = sum(float(p.grad.square().sum()) for p in net[3].parameters()) ** 0.5
    assert line["gradient_norms"]["3"] == pytest.approx(norm, rel=1e-4)


def test_the_death_and_return_of_a_channel_are_dated(tmp_path, probe):
    net = small_net()
    with opsin.record(net, probe, out=tmp_path / "run", every=2) as recording:
        for step in range(1, 7):
            with torch.no_grad():
                net[0].bias[1] = -100.0 if 3 <= step <= 4 else 5.0
            recording.step(loss=1.0)
    events = [
        (line["step"], event["kind"], event["channels"])
        for line in opsin.Run(tmp_path / "run").steps
        for event in line.get("events", [])
    ]
    assert (4, "dead", [1]) in events
    assert (6, "revived", [1]) in events


def test_a_frozen_network_under_no_grad_can_be_recorded(tmp_path, probe):
    net = small_net().requires_grad_(False)
    with torch.no_grad(), opsin.record(net, probe, out=tmp_path / "run"):
        pass
    snapshot = opsin.Run(tmp_path / "run").snapshot(0)
    assert np.abs(snapshot.gradients_predicted["0"]).max() > 0
    assert not any(p.requires_grad for p in net.parameters())


def test_an_exception_in_the_loop_comes_through_and_leaves_no_hook(tmp_path, probe):
    net = small_net()

    def fail_half_way():
        with opsin.record(net, probe, out=tmp_path / "run") as recording:
            train(net, 3, recording)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    assert read_json(tmp_path / "run" / "run.json")["status"] == "failed"
    assert len(read_lines(tmp_path / "run" / "steps.jsonl")) >= 1
    assert sum(len(part._forward_hooks) for part in net.modules()) == 0


def test_what_is_refused(tmp_path, probe):
    net = small_net()
    with pytest.raises(OpsinError, match="float tensor"):
        opsin.record(net, probe.byte(), out=tmp_path / "a")
    with pytest.raises(OpsinError, match="2 entries for 4 probe images"):
        opsin.record(net, probe, out=tmp_path / "a", labels=[1, 2])
    with opsin.record(net, probe, out=tmp_path / "a"):
        pass
    with pytest.raises(OpsinError, match="already holds a run"):
        opsin.record(net, probe, out=tmp_path / "a")


def test_a_failed_write_reaches_the_owner():
    writer = Writer()

    def fail():
        raise OSError(28, "No space left on device")

    writer.submit(fail)
    with pytest.raises(OpsinError, match="No space left"):
        writer.flush()
    writer.close()


def test_a_torn_last_line_is_passed_over_and_a_torn_middle_one_is_not(tmp_path):
    path = tmp_path / "steps.jsonl"
    for step in range(3):
        append_line(path, {"step": step})
    with path.open("a") as handle:
        handle.write('{"step": 3, "lo')
    assert [row["step"] for row in read_lines(path)] == [0, 1, 2]
    with path.open("ab") as handle:
        handle.write('ss": "é'.encode()[:-1])  # torn within a letter
    assert [row["step"] for row in read_lines(path)] == [0, 1, 2]
    cut_lines(path, lambda row: row["step"] <= 1)
    assert path.read_text() == '{"step": 0}\n{"step": 1}\n'
    path.write_text('{"step": 0}\n{"st\n{"step": 2}\n')
    with pytest.raises(OpsinError, match="line 2 is not JSON"):
        read_lines(path)
