"""Every video has a clip name of its own, which every file system takes, or there is one sentence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from daflow.core.data.tracks import SUFFIX
from daflow.core.errors import InputError
from runtime.batch.clip_names import VIDEOS, check_distinct, named_videos, readable


@pytest.mark.parametrize(
    ("uri", "clip"),
    [
        ("shop.mp4", "shop"),
        ("monday/shop.today.mp4", "shop.today"),
        ("16:38:41.mp4", "16-38-41"),
        ("a/17:38:41.mp4", "17-38-41"),
        ("C:\\videos\\cam 1.mp4", "cam 1"),
        ("file:///data/my%20shop.mp4", "my shop"),
        ("noending", "noending"),
        ("x_alphapose.mp4", "x_alphapose"),
        ("synthetic:frames=60,jitter=0.5", "frames=60,jitter=0.5"),
        ("tracks:a/01_0002_alphapose_tracked_person.json", "01_0002"),
        ("rtsp://admin:secret@10.0.0.5:8554/live?password=secret", "10.0.0.5_8554"),
        ("v4l2:///dev/video0", "dev_video0"),
        (".hidden.mp4", "_hidden"),
        ("客厅.mp4", "客厅"),
    ],
)
def test_the_name_of_a_clip(uri: str, clip: str) -> None:
    ((source, name),) = named_videos(uri)
    assert source == uri
    assert name == clip


def test_a_clip_may_be_named(tmp_path: Path) -> None:
    assert list(named_videos("shop.mp4", "door")) == [("shop.mp4", "door")]
    for wrong in ("", "a/b", "..", "a:b", "\n", ".x"):
        with pytest.raises(InputError, match="cannot be the name of a clip"):
            list(named_videos("shop.mp4", wrong))
    (tmp_path / "a.mp4").touch()
    (tmp_path / "b.mp4").touch()
    with pytest.raises(InputError, match="is a folder of 2"):
        list(named_videos(str(tmp_path), "door"))


def test_a_name_that_is_too_long_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / f"{'x' * 250}.ts").touch()
    with pytest.raises(InputError, match="would have a name of 250 bytes"):
        list(named_videos(str(tmp_path)))
    ((_, name),) = named_videos(str(tmp_path / f"{'y' * 200}.ts"))
    (tmp_path / f".{name}{SUFFIX}.12345678.json").touch()  # the temporary file of a track file


def test_names_that_are_not_utf_8_work(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9.mp4"
    try:
        Path(os.fsdecode(path)).touch()
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    ((uri, name),) = named_videos(str(tmp_path))
    assert os.fsencode(uri) == path
    assert name == "caf-"
    assert readable(Path(uri)).endswith("caf\\xe9.mp4")


@pytest.mark.parametrize("suffix", sorted({".3gp", ".dav", ".h264", ".h265", ".hevc", ".asf", ".vob", ".m2ts",
                                           ".ogv", ".mjpeg", ".mjpg", ".divx", ".rm", ".MP4"}))  # fmt: skip
def test_videos_of_every_kind_are_found(tmp_path: Path, suffix: str) -> None:
    assert suffix.lower() in VIDEOS
    (tmp_path / f"a{suffix}").touch()
    (tmp_path / "notes.txt").touch()
    assert [name for _, name in named_videos(str(tmp_path))] == ["a"]


def test_a_folder_of_images_is_one_clip(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no video"):
        list(named_videos(str(tmp_path)))
    (tmp_path / "1.jpg").touch()
    assert list(named_videos(str(tmp_path))) == [(str(tmp_path), tmp_path.name)]


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_videos_and_folders_of_images_at_any_depth_are_clips(tmp_path: Path) -> None:
    touch(tmp_path, "01/001.tif", "01/002.tif", "02/1.jpg", "set.v2/scene/a/1.png", "monday/cam.mp4")
    touch(tmp_path, "set.v2/scene/clip.v1/1.png", "notes/read.txt")
    assert [(str(Path(uri).relative_to(tmp_path)), name) for uri, name in named_videos(str(tmp_path))] == [
        ("01", "01"),
        ("02", "02"),
        ("monday/cam.mp4", "monday_cam"),
        ("set.v2/scene/a", "set.v2_scene_a"),
        ("set.v2/scene/clip.v1", "set.v2_scene_clip.v1"),
    ]


def test_images_that_are_no_recording_are_no_clip(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    touch(tmp_path, "cover.jpg", "monday/cam.mp4", "monday/cam.jpg", "01/1.jpg")
    touch(tmp_path, ".thumbnails/1.jpg", "@eaDir/1.jpg", "__MACOSX/01/1.jpg", "02/._1.jpg", "._cam.mp4")
    assert [name for _, name in named_videos(str(tmp_path))] == ["01", "monday_cam"]
    assert f"images beside videos or beside folders of images are left out ({tmp_path})" in caplog.text


def test_ground_truth_beside_its_folder_is_no_clip(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    touch(tmp_path, "Test001/001.tif", "Test001_gt/001.bmp", "hall_gt/1.jpg")
    assert [name for _, name in named_videos(str(tmp_path))] == ["Test001", "hall_gt"]
    assert "1 folders NAME_gt beside a folder NAME are left out as ground truth" in caplog.text


def test_a_video_and_a_folder_of_images_of_the_same_name_are_told(tmp_path: Path) -> None:
    touch(tmp_path, "cam.mp4", "cam/1.jpg")
    with pytest.raises(InputError, match="Two sources would be the clip cam"):
        check_distinct(named_videos(str(tmp_path)))


letters = st.sampled_from([*"aB1._-: \\#?@=[é客", "_0000", "\udcff", "\n", "_alphapose", ".mp4", ".avi"])
names = st.builds(
    lambda folder, parts, suffix: f"{folder}{''.join(parts)}{suffix}",
    st.sampled_from(["", "a/", "b/", "a_/"]), st.lists(letters, min_size=1, max_size=5),
    st.sampled_from([".mp4", ".avi", ".MKV"]),
).filter(lambda name: not Path(name).name.startswith("._"))  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(names, names)
@example("a/b.mp4", "a_b.mp4")
@example("cam.mp4", "cam.avi")
@example("16:38.mp4", "16-38.mp4")
def test_two_videos_of_a_folder_have_two_names_or_are_refused(
    tmp_path_factory: pytest.TempPathFactory, one: str, other: str
) -> None:
    folder = tmp_path_factory.mktemp("videos")
    for name in (one, other):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    try:
        named = list(named_videos(str(folder)))
        check_distinct(named)
    except InputError as error:
        error.message.encode()  # so that it can be printed
        return
    clips = [clip for _, clip in named]
    assert len(clips) == len(set(clips)) == len({one, other})
    for clip in clips:
        file = folder / f"{clip}{SUFFIX}"
        file.write_text("{}")
        assert file.parent == folder
    assert len(list(folder.glob("[!.]*tracked_person.json"))) == len(clips)
