"""Functions and ONNX files as Classifiers: what they take and give, what explains them, and what is refused."""

import numpy as np
import pytest
import torch
from onnx import TensorProto, checker, helper, numpy_helper, save

import opsin
from opsin.errors import OpsinError
from opsin.explanation.explain import explain
from opsin.explanation.methods import METHODS
from opsin.models.black_box import BlackBox, open_onnx

WEIGHTS = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)


def numpy_scores(images: np.ndarray) -> np.ndarray:
    assert images.dtype == np.float32
    return images.mean(axis=(2, 3)) @ WEIGHTS


def tensor_scores(images: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.adaptive_avg_pool2d(images, 1).flatten(1) @ torch.from_numpy(WEIGHTS)


def write_onnx(path, batch="n", size=8, outputs=("logits",)) -> None:
    """Mean over the places, then the weights, written node by node; other outputs are the mean."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["pixels"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["mean"]),
        helper.make_node("MatMul", ["mean", "weights"], ["logits"]),
    ]
    shapes = {"logits": [batch, 4], "mean": [batch, 3]}
    graph = helper.make_graph(
        nodes,
        "scores",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [batch, 3, size, size])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shapes[name]) for name in outputs],
        [numpy_helper.from_array(WEIGHTS, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    checker.check_model(model)
    save(model, path)


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.randn(5, 3, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("scores", [numpy_scores, tensor_scores, lambda images: numpy_scores(images).tolist()])
def test_arrays_and_tensors_go_in_and_come_out(images, scores):
    model = BlackBox(scores)
    torch.testing.assert_close(model.logits(images), tensor_scores(images))
    assert model.classes == ("0", "1", "2", "3")
    torch.testing.assert_close(model.logits(images[:2]), tensor_scores(images[:2]))


def test_a_function_that_worked_is_not_asked_twice(images):
    asked = []

    def failing(batch: np.ndarray) -> np.ndarray:
        asked.append(type(batch))
        if len(asked) > 1:
            raise TypeError("a fault of its own")
        return numpy_scores(batch)

    model = BlackBox(failing)
    model.logits(images)
    with pytest.raises(TypeError, match="a fault of its own"):
        model.logits(images)
    assert asked == [np.ndarray, np.ndarray]


def test_functions_that_are_none(images):
    with pytest.raises(OpsinError, match="BlackBox was given a int; expected a function"):
        BlackBox(3)
    with pytest.raises(OpsinError, match=r"upper failed on a float32 array \(5, 3, 8, 8\)"):
        BlackBox(lambda batch: batch.upper(), name="upper").logits(images)
    with pytest.raises(OpsinError, match="words answered with a str; expected scores"):
        BlackBox(lambda _: "cat", name="words").logits(images)
    with pytest.raises(OpsinError, match=r"answered with shape \(5,\); expected logits"):
        BlackBox(lambda batch: batch.mean(axis=(1, 2, 3))).logits(images)


@pytest.mark.parametrize("batch", ["n", 1, 2, 7])
def test_an_onnx_file_of_any_batch_size_answers_as_its_network(images, tmp_path, batch):
    write_onnx(tmp_path / "net.onnx", batch)
    model = open_onnx(tmp_path / "net.onnx")
    torch.testing.assert_close(model.logits(images), tensor_scores(images))
    assert (model.channels, model.size, model.label) == (3, (8, 8), "net.onnx")


def test_of_several_outputs_the_logits_are_taken(images, tmp_path):
    write_onnx(tmp_path / "net.onnx", outputs=("mean", "logits"))
    torch.testing.assert_close(open_onnx(tmp_path / "net.onnx").logits(images), tensor_scores(images))


def test_files_that_are_none(images, tmp_path):
    with pytest.raises(OpsinError, match=r"there is no file .*net.onnx"):
        open_onnx(tmp_path / "net.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"nothing")
    with pytest.raises(OpsinError, match=r"cannot open bad.onnx: .*; expected an ONNX network"):
        open_onnx(tmp_path / "bad.onnx")
    write_onnx(tmp_path / "net.onnx")
    with pytest.raises(OpsinError, match=r"given a tensor of shape \(5, 1, 8, 8\); expected \(n, 3, 8, 8\)"):
        open_onnx(tmp_path / "net.onnx").logits(images[:, :1])
    with pytest.raises(OpsinError, match=r"net.onnx cannot take an input of shape \(5, 3, 9, 9\): .*; expected"):
        open_onnx(tmp_path / "net.onnx").logits(torch.zeros(5, 3, 9, 9))
    with pytest.raises(OpsinError, match="black box without weights"):
        open_onnx(tmp_path / "net.onnx").save(tmp_path / "net.safetensors")
    graph = helper.make_graph(
        [helper.make_node("Identity", ["a"], ["b"])],
        "words",
        [helper.make_tensor_value_info("a", TensorProto.INT64, [1, 5])],
        [helper.make_tensor_value_info("b", TensorProto.INT64, [1, 5])],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), tmp_path / "words.onnx")
    with pytest.raises(OpsinError, match=r"words.onnx takes a tensor\(int64\) \[1, 5\]; expected one float input"):
        open_onnx(tmp_path / "words.onnx")


def test_load_model_opens_an_onnx_file(images, tmp_path):
    write_onnx(tmp_path / "net.onnx")
    model = opsin.load_model(tmp_path / "net.onnx")
    assert model.classes == ("0", "1", "2", "3")
    assert model.preprocess is None
    assert model.origin == tmp_path / "net.onnx"
    expected = tensor_scores(images).softmax(dim=1).numpy()
    np.testing.assert_allclose(opsin.predict(model, images).probabilities, expected, atol=1e-6)
    with pytest.raises(OpsinError, match=r"net\.onnx has no Preprocess and takes float tensors"):
        opsin.predict(tmp_path / "net.onnx", np.zeros((1, 8, 8, 3), np.uint8))
    preprocess = opsin.Preprocess.simple(channels=3, size=8)
    named = opsin.load_model(tmp_path / "net.onnx", classes=list("wxyz"), preprocess=preprocess)
    answer = opsin.predict(named, np.zeros((2, 8, 8, 3), np.uint8))
    assert answer.classes == ("w", "x", "y", "z")
    with pytest.raises(OpsinError, match="answers with 4 columns, but 3 classes were named"):
        opsin.load_model(tmp_path / "net.onnx", classes=list("xyz")).logits(images)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"classes": 4}, "the number of classes was given for .*net.onnx, an ONNX file, which says that itself"),
        ({"module": "lenet5"}, "module was given for"),
        ({"weights": "x.pth"}, "weights was given for"),
    ],
)
def test_what_an_onnx_file_says_itself_is_refused(tmp_path, given, message):
    write_onnx(tmp_path / "net.onnx")
    with pytest.raises(OpsinError, match=message):
        opsin.load_model(tmp_path / "net.onnx", **given)


def test_probabilities_are_not_taken_for_logits(images):
    """A function that answers with probabilities predicts them, and check watches them."""

    def shares(batch: np.ndarray) -> np.ndarray:
        return tensor_scores(torch.from_numpy(batch)).softmax(dim=1).numpy()

    expected = tensor_scores(images).softmax(dim=1).numpy()
    np.testing.assert_allclose(opsin.predict(BlackBox(shares), images).probabilities, expected, atol=1e-6)
    np.testing.assert_allclose(opsin.predict(BlackBox(tensor_scores), images).probabilities, expected, atol=1e-6)


FEW = {"occlusion": {"window": 3}, "rise": {"masks": 30}, "lime": {"samples": 40, "segments": 6}}


@pytest.mark.filterwarnings("ignore::opsin.explanation.guards.SaturatedMapWarning")  # noise is one superpixel
@pytest.mark.parametrize("method", FEW)
def test_a_function_and_a_file_are_explained_like_the_network(images, tmp_path, method):
    class Mean(torch.nn.Module):
        def forward(self, batch):
            return tensor_scores(batch)

    write_onnx(tmp_path / "net.onnx")
    settings = {**FEW[method], "output": "logits", "target": "2"}
    wanted = explain(opsin.Classifier(Mean(), classes="0123" and ["0", "1", "2", "3"]), images, method, **settings)
    for source in (numpy_scores, tensor_scores, str(tmp_path / "net.onnx"), tmp_path / "net.onnx"):
        found = explain(source, images, method, **settings)
        np.testing.assert_allclose(found.maps, wanted.maps, atol=1e-5 * max(1.0, np.abs(wanted.maps).max()))
        assert found.used["engine"] == "eager"


def test_the_scores_of_a_black_box_are_taken_as_they_are(images):
    """They may be probabilities already, and a softmax of those would be something else."""
    once, twice = (
        explain(numpy_scores, images, "rise", 0, masks=20, output=output).maps for output in ("logits", "probabilities")
    )
    np.testing.assert_array_equal(once, twice)


@pytest.mark.parametrize("method", [name for name, method in METHODS.items() if not method.black_box])
def test_what_looks_inside_refuses(images, method):
    with pytest.raises(OpsinError, match=f"{method} looks inside the network, and of numpy_scores only the scores"):
        explain(numpy_scores, images, method)
