"""The methods by name."""

from __future__ import annotations

from opsin.explanation.cam import closed_form, gradient_cams
from opsin.explanation.gradient import guided, input_gradients
from opsin.explanation.job import Method

METHODS: dict[str, Method] = {
    "cam": Method(
        closed_form.cam, "cam", "Class activation mapping, Zhou et al. 2016",
        needs="global average pooling and one linear layer", cost="1", layer=True,
        fails="coarse: as many places as the last layer has",
    ),
    "grad_cam": Method(
        gradient_cams.grad_cam, "cam", "Grad-CAM, Selvaraju et al. 2017",
        needs="a layer with places", cost="about 1", layer=True,
        fails="at layers before the last: averaging gradients over places can light up where nothing is",
    ),
    "grad_cam_pp": Method(
        gradient_cams.grad_cam_pp, "cam", "Grad-CAM++, Chattopadhay et al. 2018",
        needs="a layer with places", cost="about 1", layer=True,
        fails="keeps only positive gradients, so that it tells classes apart less than Grad-CAM",
    ),
    "hires_cam": Method(
        gradient_cams.hires_cam, "cam", "HiResCAM, Draelos and Carin 2020",
        needs="a layer with places", cost="about 1", layer=True,
        fails="noisy at layers before the last",
    ),
    "layer_cam": Method(
        gradient_cams.layer_cam, "cam", "LayerCAM, Jiang et al. 2021",
        needs="a layer with places", cost="about 1", layer=True,
        fails="keeps only positive gradients; at early layers it shows edges",
    ),
    "xgrad_cam": Method(
        gradient_cams.xgrad_cam, "cam", "XGrad-CAM, Fu et al. 2020",
        needs="a layer with places and mostly positive activations", cost="about 1", layer=True,
        fails="where a channel's activations sum to about zero its weight explodes",
    ),
    "eigen_cam": Method(
        closed_form.eigen_cam, "cam", "Eigen-CAM, Muhammad and Yeasin 2020",
        needs="a layer with places", cost="1", layer=True, class_specific=False,
        fails="the same for every class: it shows what stands out, not why this class",
    ),
    "saliency": Method(
        input_gradients.saliency, "gradient", "Gradient magnitude, Simonyan et al. 2014",
        needs="gradients", cost="about 3",
        fails="noisy; shows where a small change acts, not what is there",
    ),
    "input_x_gradient": Method(
        input_gradients.input_x_gradient, "gradient", "Input x gradient, Shrikumar et al. 2016",
        needs="gradients", cost="about 3",
        fails="zero where the preprocessed input is zero, whatever it means",
    ),
    "integrated_gradients": Method(
        input_gradients.integrated_gradients, "gradient", "Integrated gradients, Sundararajan et al. 2017",
        needs="gradients", cost="about 3 x steps",
        fails="depends on the baseline: what looks like the baseline gets nothing",
    ),
    "guided_backprop": Method(
        guided.guided_backprop, "gradient", "Guided backpropagation, Springenberg et al. 2015",
        needs="gradients and ReLU-like functions", cost="about 3",
        fails="draws edges of the input even for random weights (Adebayo et al. 2018)",
    ),
    "guided_grad_cam": Method(
        guided.guided_grad_cam, "gradient", "Guided Grad-CAM, Selvaraju et al. 2017",
        needs="a layer with places, gradients and ReLU-like functions", cost="about 4", layer=True,
        fails="as guided backpropagation, inside the region that Grad-CAM shows",
    ),
}  # fmt: skip
