"""The methods by name."""

from __future__ import annotations

from opsin.explanation.attention import rollout
from opsin.explanation.cam import closed_form, gradient_cams
from opsin.explanation.gradient import guided, input_gradients, smooth_grad
from opsin.explanation.job import Method
from opsin.explanation.perturbation import ablation_cam, lime, occlusion, rise, score_cam

METHODS: dict[str, Method] = {
    "cam": Method(
        closed_form.cam, "cam", "Class activation mapping, Zhou et al. 2016",
        needs="global average pooling and one linear layer", cost="1", layer=True,
        fails="coarse: as many places as the last layer has",
    ),
    "softmax_cam": Method(
        closed_form.softmax_cam, "cam", "The head at every place, after Long et al. 2015",
        needs="global average pooling and one linear layer", cost="1", layer=True,
        fails="shows where the class wins, not all that adds to its score; coarse as CAM",
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
    "smooth_grad": Method(
        smooth_grad.smooth_grad, "gradient", "SmoothGrad, Smilkov et al. 2017",
        needs="what the method that it smooths needs (of=...)", cost="1 + samples x that method's",
        fails="where noise takes the picture away from what the network knows", stochastic=True, wraps=True,
    ),
    "attention_rollout": Method(
        rollout.attention_rollout, "attention", "Attention rollout, Abnar and Zuidema 2020",
        needs="attention of all patches over all", cost="1, and 2 more for one image", class_specific=False,
        fails="the same for every class; knows nothing of values and perceptrons, and bright spots of deep "
        "networks may be places where they store something else (Darcet et al. 2024)",
    ),
    "grad_attention_rollout": Method(
        rollout.grad_attention_rollout, "attention", "Gradient-weighted attention, Chefer et al. 2021",
        needs="attention of all patches over all, and gradients", cost="about 2",
        fails="keeps only what speaks for the class; knows nothing of values and perceptrons",
    ),
    "score_cam": Method(
        score_cam.score_cam, "perturbation", "Score-CAM, Wang et al. 2020",
        needs="a layer with places", cost="2 + the layer's channels", layer=True,
        fails="where the scores differ little between channels, the softmax makes all weights alike",
    ),
    "ablation_cam": Method(
        ablation_cam.ablation_cam, "perturbation", "Ablation-CAM, Desai and Ramaswamy 2020",
        needs="a layer with places", cost="1 + the layer's channels, only behind the layer", layer=True,
        fails="where channels stand in for each other, so that none is missed alone",
    ),
    "occlusion": Method(
        occlusion.occlusion, "perturbation", "Occlusion, Zeiler and Fergus 2014",
        needs="scores", cost="1 + windows (169 by default)", black_box=True,
        fails="what is larger or smaller than the window; a covering window is itself a strange picture",
    ),
    "rise": Method(
        rise.rise, "perturbation", "RISE, Petsiuk et al. 2018",
        needs="scores", cost="1 + masks", stochastic=True, black_box=True,
        fails="small things; noisy with few masks, which its standard error tells",
    ),
    "lime": Method(
        lime.lime, "perturbation", "LIME, Ribeiro et al. 2016",
        needs="scores", cost="1 + samples", stochastic=True, black_box=True,
        fails="where superpixels cut through what matters, or matter only together",
    ),
}  # fmt: skip
