"""One network that finds the boxes and the joints of everybody in a picture at once, such as YOLO-pose."""

from __future__ import annotations

import numpy as np

from runtime.networks.runner import NetworkRunner
from runtime.poses.boxes import strongest
from runtime.poses.pose_networks import MIN_SCORE, MOST_OVERLAP
from runtime.poses.regions import cut, to_picture
from runtime.sources.frames import Frame, Keypoints


class WholePictures:
    """Runs the network on the whole of each picture; a `PoseEstimator`.

    Args:
        network: maps `images (B, H, W, 3)` to `scores (B, A)`, `boxes (B, A, 4)` and `keypoints (B, A, 17, 3)`.
        max_people: people at most; the surest are kept.
    """

    def __init__(self, network: NetworkRunner, max_people: int) -> None:
        self._network = network
        self._max_people = max_people
        self._shape = network.row[1], network.row[0]

    def estimate(self, frame: Frame) -> Keypoints:
        """Return `(N, 17, 3)` COCO keypoints in pixels with visibility, the surest person first."""
        assert frame.image is not None
        (width, height), (across, down) = frame.size, self._shape
        side = max(height, width * down / across)  # of the region that shows the whole picture
        whole = np.array([[width / 2, height / 2, side, 0.0]], dtype=np.float32)
        outputs = self._network.run(cut(frame.image, whole, self._shape))
        scores, boxes, keypoints = (outputs[name][0] for name in ("scores", "boxes", "keypoints"))
        sure = scores >= MIN_SCORE
        people = strongest(boxes[sure], scores[sure], MOST_OVERLAP)[: self._max_people]
        found = keypoints[sure][people]
        places = np.repeat(whole, len(found), axis=0)
        points = to_picture(found[..., :2], places, self._shape)
        return np.concatenate([points, found[..., 2:]], axis=2)

    def close(self) -> None:
        """Release the network."""
        self._network.close()
