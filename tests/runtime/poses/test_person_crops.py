from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from runtime.poses.boxes import joint_boxes
from runtime.poses.person_crops import PersonCrops, are_same_person
from runtime.sources.frames import Frame, Keypoints

cv2 = pytest.importorskip("cv2")

SIZE = (320, 240)
FIGURE = np.random.default_rng(0).uniform(0, 1, (17, 2))
FIGURE[:4] = (0, 0), (1, 1), (0, 1), (1, 0)
Person = tuple[int, int]


def picture(*people: Person, size: tuple[int, int] = SIZE, tall: int = 80) -> npt.NDArray[np.uint8]:
    """A grey scene with people, each a white box of 24 by `tall` pixels whose left top is given."""
    image = np.full((size[1], size[0], 3), 70, dtype=np.uint8)
    for x, y in people:
        image[max(y, 0) : y + tall, max(x, 0) : max(x + 24, 0)] = 250
    return image


class WhitePeople:
    """Finds the largest white shape in a crop, as a skeleton that fills it."""

    def __init__(self) -> None:
        self.crops: list[npt.NDArray[np.uint8]] = []
        self.closed = False

    def estimate(self, frame: Frame) -> Keypoints:
        assert frame.image is not None
        assert frame.size == (256, 256)
        assert frame.image.shape == (256, 256, 3)
        self.crops.append(frame.image)
        shapes = cv2.connectedComponentsWithStats((frame.image[..., 0] > 200).astype(np.uint8))[2][1:]
        if not len(shapes):
            return np.zeros((0, 17, 3), dtype=np.float32)
        left, top, width, height, _ = max(shapes.tolist(), key=lambda shape: shape[4])
        points = FIGURE * (width, height) + (left, top)
        return np.concatenate([points, np.ones((17, 1))], axis=1)[None].astype(np.float32)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def watch() -> Callable[..., list[Keypoints]]:
    """Show scenes to a finder of crops, after an empty scene that it learns, and return what it found."""

    def do(finder: PersonCrops, scenes: list[tuple[Person, ...]], learn: int = 20) -> list[Keypoints]:
        shown: list[tuple[Person, ...]] = [()] * learn + scenes
        found = [finder.estimate(Frame(i, i / 25, SIZE, picture(*people))) for i, people in enumerate(shown)]
        assert all(len(nobody) == 0 for nobody in found[:learn])
        return found[learn:]

    return do


def lefts(found: Keypoints) -> list[int]:
    return sorted(round(float(joint_boxes(k[None])[0, 0])) for k in found)


def test_keypoints_come_back_in_pixels_of_the_picture(watch: Callable[..., list[Keypoints]]) -> None:
    people = ((60, 70), (200, 100))
    (found,) = watch(PersonCrops(WhitePeople(), 25, 4), [people])
    boxes = sorted(joint_boxes(k[None])[0].tolist() for k in found)
    np.testing.assert_allclose(boxes, [(x, y, x + 24, y + 80) for x, y in people], atol=1.5)


def test_people_at_the_edge_are_found(watch: Callable[..., list[Keypoints]]) -> None:
    (found,) = watch(PersonCrops(WhitePeople(), 25, 4), [((0, 0), (296, 160))])
    np.testing.assert_allclose(lefts(found), [0, 296], atol=2)


def test_an_empty_scene_costs_a_crop_a_second_after_the_first_frames(
    watch: Callable[..., list[Keypoints]],
) -> None:
    finder = PersonCrops(estimator := WhitePeople(), 25, 4)
    watch(finder, [()] * 80)
    assert finder.crops == len(estimator.crops) == 10 + 100 // 25


def test_people_who_never_moved_are_found(watch: Callable[..., list[Keypoints]]) -> None:
    people = ((60, 70), (200, 100), (250, 80))
    found = watch(PersonCrops(WhitePeople(), 25, 4), [people] * 30, learn=0)
    for those in found[2:]:
        np.testing.assert_allclose(lefts(those), [x for x, _ in people], atol=2)


def test_two_who_walk_side_by_side_are_both_found(watch: Callable[..., list[Keypoints]]) -> None:
    walks = [((60 + 2 * i, 70), (92 + 2 * i, 74)) for i in range(20)]
    found = watch(PersonCrops(WhitePeople(), 25, 6), walks)
    for people, those in zip(walks[2:], found[2:], strict=True):
        np.testing.assert_allclose(lefts(those), [x for x, _ in people], atol=2)


def test_somebody_who_does_not_move_is_found_after_becoming_background(
    watch: Callable[..., list[Keypoints]],
) -> None:
    finder = PersonCrops(WhitePeople(), 0.5, 4)
    found = watch(finder, [((60, 70),)] * 60, learn=120)
    assert [len(those) for those in found] == [1] * 60
    assert len(finder._foreground.find(picture((60, 70)))) == 0


def test_a_place_is_given_up_when_nobody_is_found_there(watch: Callable[..., list[Keypoints]]) -> None:
    finder = PersonCrops(WhitePeople(), 25, 4)
    watch(finder, [((60, 70),)] * 3 + [()] * 30)
    crops = finder.crops
    for i in range(10):
        finder.estimate(Frame(60 + i, 3 + i, SIZE, picture()))
    assert finder.crops <= crops + 1  # the whole picture, once a second
    assert crops <= 10 + 2 + 3 + 10


@pytest.mark.parametrize("most", [1, 2, 3])
def test_the_crops_of_a_frame_are_bounded_and_those_who_are_known_come_first(
    watch: Callable[..., list[Keypoints]], most: int
) -> None:
    finder = PersonCrops(WhitePeople(), 25, most)
    crowd = tuple((10 + 50 * i, 80) for i in range(6))
    found = watch(finder, [crowd[:most]] * 3 + [crowd] * 10)
    assert finder.crops <= 10 + most * len(found)
    assert [lefts(those) for those in found] == [lefts(found[0])] * len(found)
    assert len(found[0]) == most


def test_what_moves_and_holds_nobody_rests(watch: Callable[..., list[Keypoints]]) -> None:
    class Nobody(WhitePeople):
        def estimate(self, frame: Frame) -> Keypoints:
            super().estimate(frame)
            return np.zeros((0, 17, 3), dtype=np.float32)

    finder = PersonCrops(Nobody(), 25, 4)
    watch(finder, [((60, 70),)] * 40, learn=300)
    surveys = 10 + 340 // 25
    assert finder.crops - surveys == pytest.approx(3 * 40 / 12, abs=3)


@pytest.mark.parametrize("change", ["tiny", "outside"])
def test_implausible_skeletons_are_left_out(watch: Callable[..., list[Keypoints]], change: str) -> None:
    class Wrong(WhitePeople):
        def estimate(self, frame: Frame) -> Keypoints:
            found = super().estimate(frame)
            found[..., :2] = found[..., :2] * 0.2 if change == "tiny" else found[..., :2] + 200
            return found

    assert [len(those) for those in watch(PersonCrops(Wrong(), 25, 4), [((60, 70),)] * 3)] == [0, 0, 0]


def test_another_size_begins_anew(watch: Callable[..., list[Keypoints]]) -> None:
    finder = PersonCrops(WhitePeople(), 25, 4)
    watch(finder, [((60, 70),)] * 3)
    crops = finder.crops
    assert len(finder.estimate(Frame(30, 2.0, (640, 480), picture((60, 70), size=(640, 480))))) == 0
    assert finder.crops == crops


def test_the_estimator_is_closed() -> None:
    estimator = WhitePeople()
    PersonCrops(estimator, 25, 4).close()
    assert estimator.closed


def test_doubles_are_the_same_person_and_neighbours_are_not() -> None:
    person = np.concatenate([FIGURE * (40, 100), np.ones((17, 1))], axis=1).astype(np.float32)
    noise = np.random.default_rng(1).normal(0, 3, (17, 3)).astype(np.float32)
    neighbour = person + np.array([30, 4, 0], dtype=np.float32)
    assert are_same_person(person, person + noise)
    assert not are_same_person(person, neighbour)
