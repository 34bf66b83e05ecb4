"""Torchvision's networks by name, and what size of pictures they take: known before torchvision is imported."""

from __future__ import annotations

from collections.abc import Sequence

from nnkit.config.synonyms import nearest

_CLASSIFIERS = """
alexnet convnext_base convnext_large convnext_small convnext_tiny densenet121 densenet161 densenet169
densenet201 efficientnet_b0 efficientnet_b1 efficientnet_b2 efficientnet_b3 efficientnet_b4 efficientnet_b5
efficientnet_b6 efficientnet_b7 efficientnet_v2_l efficientnet_v2_m efficientnet_v2_s googlenet inception_v3
maxvit_t mnasnet0_5 mnasnet0_75 mnasnet1_0 mnasnet1_3 mobilenet_v2 mobilenet_v3_large mobilenet_v3_small
regnet_x_16gf regnet_x_1_6gf regnet_x_32gf regnet_x_3_2gf regnet_x_400mf regnet_x_800mf regnet_x_8gf
regnet_y_128gf regnet_y_16gf regnet_y_1_6gf regnet_y_32gf regnet_y_3_2gf regnet_y_400mf regnet_y_800mf
regnet_y_8gf resnet101 resnet152 resnet18 resnet34 resnet50 resnext101_32x8d resnext101_64x4d resnext50_32x4d
shufflenet_v2_x0_5 shufflenet_v2_x1_0 shufflenet_v2_x1_5 shufflenet_v2_x2_0 squeezenet1_0 squeezenet1_1 swin_b
swin_s swin_t swin_v2_b swin_v2_s swin_v2_t vgg11 vgg11_bn vgg13 vgg13_bn vgg16 vgg16_bn vgg19 vgg19_bn
vit_b_16 vit_b_32 vit_h_14 vit_l_16 vit_l_32 wide_resnet101_2 wide_resnet50_2
"""
_SEGMENTERS = """
deeplabv3_mobilenet_v3_large deeplabv3_resnet101 deeplabv3_resnet50 fcn_resnet101 fcn_resnet50
lraspp_mobilenet_v3_large
"""
CLASSIFIERS, SEGMENTERS = tuple(_CLASSIFIERS.split()), tuple(_SEGMENTERS.split())
ARCHITECTURES = (*CLASSIFIERS, *SEGMENTERS)
# The smallest side of a picture, in pixels, from which a network makes a map at all; by how names begin.
_SMALLEST = {
    "alexnet": 63,
    "convnext": 32,
    "densenet": 29,
    "googlenet": 15,
    "inception": 75,
    "maxvit": 224,
    "squeezenet1_0": 21,
    "squeezenet1_1": 17,
    "swin": 4,
    "vgg": 32,
}
# The networks that are built for pictures of one size, which is a multiple of a number.
_MULTIPLES = {"maxvit_t": 224, "vit_b_16": 16, "vit_b_32": 32, "vit_h_14": 14, "vit_l_16": 16, "vit_l_32": 32}
USUAL_SIDE = 224
LISTED = "nnkit list model.arch names them all"


def architecture_of(word: str) -> str | None:
    """Return the network of that name, however its parts are joined: ResNet-34; None where there is none."""
    squashed = _squashed(word)
    return next((arch for arch in ARCHITECTURES if _squashed(arch) == squashed), None)


def _squashed(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


def nearest_architecture(word: str, among: Sequence[str]) -> str | None:
    """Return the network that a word means: one that looks like it, or begins with it; None where none is near."""
    name = word.lower().replace("-", "_")
    begun = [arch for arch in among if arch.startswith(name)]
    return nearest(name, begun, cutoff=0.0) if begun and name else nearest(name, among)


def smallest_side(arch: str) -> int:
    """Return the fewest pixels that a side of a picture must have."""
    return next((size for name, size in _SMALLEST.items() if arch.startswith(name)), _MULTIPLES.get(arch, 1))


def side_multiple(arch: str) -> int | None:
    """Return what the sides of the one size that a network is built for must be a multiple of; None for any size."""
    return _MULTIPLES.get(arch)


def is_segmenter(arch: str) -> bool:
    """Tell whether a network answers for each pixel."""
    return arch in SEGMENTERS
