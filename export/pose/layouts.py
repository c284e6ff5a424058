"""What the outputs of a pose network or a detector mean, as nodes at the end of its graph.

Each layout turns the outputs of its kind of network into outputs that are alike for all of them, in pixels of the
network's input picture. They are computed in FP32 in each precision: FP16 has no half pixels above 1024, and an
expectation over distances in INT8 has none at all.

- A detector: `scores (B, A)`, that a person is in the box, 0..1, and `boxes (B, A, 4)`, left, top, right, bottom.
  `yolo-pose` also gives `keypoints (B, A, 17, 3)`: x, y, visibility.
- Landmarks: `keypoints (B, J, 4)`: x, y, visibility 0..1, presence 0..1, and `presence (B,)`, that a person is in the
  picture, 0..1.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from onnx import helper

from daflow.core.errors import InputError
from export.pose.nodes import PREFIX, Nodes

Role = Literal["detector", "landmarks"]
COCO_JOINTS = 17
BLAZEPOSE_JOINTS = 33
BLAZEPOSE_POINTS = 39  # with the six that place the next crop
NANODET_STRIDES = (8, 16, 32)
COCO_CLASSES = 80
IMAGES = "images"

Shape = tuple[int, ...]
Outputs = Mapping[str, Shape]


class Head(Nodes):
    """The nodes of a layout.

    Args:
        outputs: of the network by name, with their shapes for one picture.
        width: of the network's input picture in pixels.
        height: of the network's input picture in pixels.
        has_images: whether the graph has the input `images`, which may be smaller than that.
    """

    def __init__(self, outputs: Outputs, width: int, height: int, has_images: bool = True) -> None:
        super().__init__()
        self.outputs = outputs
        self.width = width
        self.height = height
        self._has_images = has_images

    def one(self, what: str, fits: Callable[[Shape], bool]) -> str:
        """Return the only output of a shape.

        Raises:
            InputError: there is none, or several.
        """
        found = [name for name, shape in self.outputs.items() if fits(shape)]
        if len(found) != 1:
            raise self.misfit(what)
        return found[0]

    def misfit(self, what: str) -> InputError:
        """The error that the network's outputs are not those of the layout."""
        shapes = ", ".join(
            f"{name.removeprefix(PREFIX)} [{', '.join(['batch', *map(str, shape[1:])])}]"
            for name, shape in self.outputs.items()
        )
        return InputError(f"It has the outputs {shapes}, and not {what}.")

    def op(self, operator: str, *inputs: str | float | np.ndarray, **attributes: object) -> str:
        """Add a node; numbers are constants, whole ones from Python's and NumPy's integers."""
        names = [
            value if isinstance(value, str) else self.constant("head.constant", _constant(value))
            for value in inputs
        ]
        return self.node(operator, names, f"head.{operator.lower()}", **attributes)

    def part(self, value: str, start: int, stop: int, axis: int = -1) -> str:
        """Return `start:stop` of an axis."""
        ends = (np.array([number]) for number in (start, stop, axis))
        return self.op("Slice", value, *ends)

    def shaped(self, value: str, *shape: int) -> str:
        """Return another shape; 0 keeps a size."""
        return self.op("Reshape", value, np.array(shape))

    def flat(self, value: str) -> str:
        """Return a value without its last axis, which has size 1."""
        return self.op("Squeeze", value, np.array([-1]))

    def largest(self, value: str) -> str:
        """Return the largest value along the last axis, which stays with size 1."""
        name, places = self.unique("head.largest"), self.unique("head.largest.place")
        one = self.constant("head.constant", np.array([1]))
        self.nodes.append(helper.make_node("TopK", [value, one], [name, places], f"{name}.TopK", axis=-1))
        return name

    def joined(self, *values: str) -> str:
        """Join along the last axis."""
        return self.op("Concat", *values, axis=-1)

    def corners(self, boxes: str) -> str:
        """Return left, top, right, bottom of boxes that are centre and size, along the last axis."""
        centre, half = self.part(boxes, 0, 2), self.op("Mul", self.part(boxes, 2, 4), 0.5)
        return self.joined(self.op("Sub", centre, half), self.op("Add", centre, half))

    def centres(self, stride: int) -> str:
        """Return the centres `(1, cells, 2)` of the cells of a stride: x, y in pixels, row by row."""
        y, x = np.mgrid[: -(-self.height // stride), : -(-self.width // stride)].astype(np.float32)
        grid = (np.stack([x, y], axis=-1) + np.float32(0.5)) * stride
        if not self._has_images:
            return self.constant("head.centres", grid.reshape(1, -1, 2))
        pixels = self.part(self.op("Shape", IMAGES), 1, 3, axis=0)
        cells = self.op("Div", self.op("Add", pixels, stride - 1), stride)
        return self.shaped(self.op("Slice", grid, np.array([0, 0]), cells, np.array([0, 1])), 1, -1, 2)

    def landmarks(self, points: str, confidence: str, presence: str | None = None) -> dict[str, str]:
        """Return the outputs for x and y `(B, J, 2)` and a confidence `(B, J, 1)`."""
        if presence is None:
            # A sum: in ReduceMean the axes are an attribute before opset 18, and an input from then on.
            total = self.op("ReduceSum", confidence, np.array([1, 2]), keepdims=0)
            presence = self.op("Mul", total, 1 / COCO_JOINTS)
        return {"keypoints": self.joined(points, confidence, confidence), "presence": presence}


@dataclass(frozen=True)
class Layout:
    """A kind of network.

    Attributes:
        role: what it is for.
        joints: of the body; 0 for a detector.
        channels: the order of colours that the published networks of this kind take.
        mean: that they subtract from a colour 0..255, in that order.
        std: that they divide by.
        head: adds the layout's nodes, and returns the outputs by name.
        stride: pixels of the largest cell: the sides of a picture may be smaller multiples of it too, if the network
            itself allows that; None where they are fixed.
    """

    role: Role
    joints: int
    channels: Literal["rgb", "bgr"]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    head: Callable[[Head], dict[str, str]]
    stride: int | None = None


def _nanodet(head: Head) -> dict[str, str]:
    """Scores of 80 classes and distances to the four sides, as probabilities of 0, 1, 2... strides.

    The centre of a cell is at half a stride. Scores have passed the sigmoid, as in the published exports.
    """
    scores, boxes = [], []
    what = f"{COCO_CLASSES} scores and the distances of NanoDet at the strides 8, 16 and 32"
    for stride in NANODET_STRIDES:
        rows, columns = -(-head.height // stride), -(-head.width // stride)
        cells = rows * columns
        score = head.one(what, functools.partial(_is_scores, cells))
        side = head.one(what, functools.partial(_is_distances, cells))
        bins = head.outputs[side][2] // 4
        probability = head.op("Softmax", head.shaped(side, 0, -1, 4, bins), axis=-1)
        expected = head.op("Mul", probability, np.arange(bins, dtype=np.float32) * stride)
        distance = head.op("ReduceSum", expected, np.array([-1]), keepdims=0)
        centres = head.centres(stride)
        scores.append(head.part(score, 0, 1))
        boxes.append(
            head.joined(
                head.op("Sub", centres, head.part(distance, 0, 2)),
                head.op("Add", centres, head.part(distance, 2, 4)),
            )
        )
    return {
        "scores": head.flat(head.op("Concat", *scores, axis=1)),
        "boxes": head.op("Concat", *boxes, axis=1),
    }


def _is_scores(cells: int, shape: Shape) -> bool:
    return shape[1:] == (cells, COCO_CLASSES)


def _is_distances(cells: int, shape: Shape) -> bool:
    return len(shape) == 3 and shape[1] == cells and shape[2] != COCO_CLASSES and shape[2] % 4 == 0


def _yolo(head: Head) -> dict[str, str]:
    """`(B, 4 + classes, A)`: centre and size of the box in pixels, and a score for each class; class 0 is a person."""
    output = head.one("one of [batch, 4 + classes, boxes]", lambda s: len(s) == 3 and 4 < s[1] < s[2])
    rows = head.op("Transpose", output, perm=[0, 2, 1])
    return {"scores": head.flat(head.part(rows, 4, 5)), "boxes": head.corners(head.part(rows, 0, 4))}


def _yolo_pose(head: Head) -> dict[str, str]:
    """`(B, 5 + 17 * 3, A)`: centre and size of the box in pixels, its score, and x, y, visibility of each joint."""
    size = 5 + COCO_JOINTS * 3
    output = head.one(f"one of [batch, {size}, boxes]", lambda s: len(s) == 3 and s[1] == size)
    rows = head.op("Transpose", output, perm=[0, 2, 1])
    return {
        "scores": head.flat(head.part(rows, 4, 5)),
        "boxes": head.corners(head.part(rows, 0, 4)),
        "keypoints": head.shaped(head.part(rows, 5, size), 0, 0, COCO_JOINTS, 3),
    }


def _blazepose(head: Head) -> dict[str, str]:
    """39 x 5: x, y, z in pixels and the logits of visibility and presence; and that a person is there, 0..1."""
    values = BLAZEPOSE_POINTS * 5
    what = f"{values} landmark values and the presence of a person"
    landmarks = head.one(what, lambda s: s[1:] == (values,))
    presence = head.one(what, lambda s: s[1:] == (1,))
    points = head.shaped(landmarks, 0, BLAZEPOSE_POINTS, 5)
    return {
        "keypoints": head.joined(head.part(points, 0, 2), head.op("Sigmoid", head.part(points, 3, 5))),
        "presence": head.flat(presence),
    }


def _simcc(head: Head) -> dict[str, str]:
    """`(B, 17, W * k)` and `(B, 17, H * k)`: where along each axis a joint is. Its confidence is the lower maximum."""
    what = f"two of [batch, {COCO_JOINTS}, positions], for x and for y"
    names = [n for n, s in head.outputs.items() if len(s) == 3 and s[1] == COCO_JOINTS]
    if len(names) != 2:
        raise head.misfit(what)
    positions = [head.outputs[name][2] for name in names]
    if positions[0] * head.height != positions[1] * head.width:  # not x, y
        names.reverse()
        positions.reverse()
    if positions[0] * head.height != positions[1] * head.width:
        raise head.misfit(what)
    coordinates, maxima = [], []
    for name, count, size in zip(names, positions, (head.width, head.height), strict=True):
        place = head.op("Cast", head.op("ArgMax", name, axis=2), to=1)
        coordinates.append(head.op("Mul", place, size / count))
        maxima.append(head.largest(name))
    confidence = head.op("Clip", head.op("Min", *maxima), 0.0, 1.0)
    return head.landmarks(head.joined(*coordinates), confidence)


def _heatmaps(head: Head) -> dict[str, str]:
    """`(B, 17, h, w)`: a joint is at the largest value, a quarter of a cell towards the larger neighbour."""
    what = f"one of [batch, {COCO_JOINTS}, rows, columns]"
    output = head.one(what, lambda s: len(s) == 4 and s[1] == COCO_JOINTS)
    rows, columns = head.outputs[output][2:]
    best = head.op("ArgMax", head.shaped(output, 0, 0, rows * columns), axis=2)
    y = head.op("Div", best, columns)
    x = head.op("Sub", best, head.op("Mul", y, columns))
    margin = head.op("Pad", output, np.array([0, 0, 1, 1] * 2), mode="edge")
    flat = head.shaped(margin, 0, 0, (rows + 2) * (columns + 2))
    centre = head.op("Add", head.op("Mul", y, columns + 2), head.op("Add", x, columns + 3))
    coordinates = []
    for place, step, last, scale in (
        (x, 1, columns - 1, head.width / columns),
        (y, columns + 2, rows - 1, head.height / rows),
    ):
        after = head.op("GatherElements", flat, head.op("Add", centre, step), axis=2)
        before = head.op("GatherElements", flat, head.op("Sub", centre, step), axis=2)
        inside = head.op("And", head.op("Greater", place, 0), head.op("Less", place, last))
        towards = head.op(
            "Mul", head.op("Sign", head.op("Sub", after, before)), head.op("Cast", inside, to=1)
        )
        cell = head.op("Add", head.op("Cast", place, to=1), head.op("Mul", towards, 0.25))
        coordinates.append(head.op("Mul", cell, scale))
    confidence = head.op("Clip", head.op("GatherElements", flat, centre, axis=2), 0.0, 1.0)
    return head.landmarks(head.joined(*coordinates), confidence)


def _movenet(head: Head) -> dict[str, str]:
    """`(B, 1, 17, 3)`: y, x as parts of the picture, and a confidence 0..1, of a single person."""
    output = head.one(f"one of [batch, 1, {COCO_JOINTS}, 3]", lambda s: s[1:] == (1, COCO_JOINTS, 3))
    points = head.shaped(output, 0, COCO_JOINTS, 3)
    x = head.op("Mul", head.part(points, 1, 2), float(head.width))
    y = head.op("Mul", head.part(points, 0, 1), float(head.height))
    return head.landmarks(head.joined(x, y), head.part(points, 2, 3))


_NONE, _ONE, _FULL = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (255.0, 255.0, 255.0)
_IMAGENET = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)

LAYOUTS: Mapping[str, Layout] = {
    "nanodet": Layout("detector", 0, "bgr", (103.53, 116.28, 123.675), (57.375, 57.12, 58.395), _nanodet, 32),
    "yolo": Layout("detector", 0, "rgb", _NONE, _FULL, _yolo),
    "yolo-pose": Layout("detector", COCO_JOINTS, "rgb", _NONE, _FULL, _yolo_pose),
    "blazepose": Layout("landmarks", BLAZEPOSE_JOINTS, "rgb", _NONE, _FULL, _blazepose),
    "simcc": Layout("landmarks", COCO_JOINTS, "rgb", *_IMAGENET, _simcc),
    "heatmaps": Layout("landmarks", COCO_JOINTS, "rgb", *_IMAGENET, _heatmaps),
    "movenet": Layout("landmarks", COCO_JOINTS, "rgb", _NONE, _ONE, _movenet),
}


def _constant(value: float | np.ndarray) -> np.ndarray:
    if isinstance(value, np.ndarray):
        return value
    return np.array(value, np.int64 if isinstance(value, int) else np.float32)
