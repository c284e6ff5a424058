"""`daflow convert` on what somebody may have made to do harm: one sentence, and nothing is written."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daflow.formats import bounded

from .convert_files import person, refused, results, save

HOSTILE: dict[str, tuple[Any, str]] = {
    "empty.json": ([], "nothing says its form"),
    "deep.json": ("[" * 100_000, "nested too deep"),
    "number.json": ("3", "no known form"),
    "words.json": ([{"image_id": "0.jpg", "keypoints": ["a"] * 51}], "not a number"),
    "bool.json": ([{"image_id": "0.jpg", "keypoints": [True] * 51}], "not a number"),
    "huge.json": ([{"image_id": "0.jpg", "keypoints": [10**400] * 51}], "too large"),
    "far.json": ([{"image_id": "0.jpg", "keypoints": [1e30] * 51}], "beyond 1000000 pixels"),
    "nan.json": ('[{"image_id": "0.jpg", "keypoints": [' + ", ".join(["NaN"] * 51) + "]}]", "joint that was seen"),
    "inf.json": ('[{"image_id": "0.jpg", "keypoints": [' + ", ".join(["1e999"] * 51) + "]}]", "a joint that was seen"),
    "frame.json": ([{"image_id": "99999999999.jpg", "keypoints": person()}], "frame number 99999999999 is not from 0"),
    "frames.json": ([{"image_id": "9" * 5000, "keypoints": person()}], "does not say the number of a frame"),
    "negative.json": ([{"image_id": -1, "keypoints": person()}], "frame number -1 is not from 0"),
    "half.json": ([{"image_id": 0.5, "keypoints": person()}], "does not say the number of a frame"),
    "noframe.json": ([{"image_id": "x.jpg", "keypoints": person()}], "does not say the number of a frame"),
    "nanframe.json": ('[{"image_id": NaN, "keypoints": [1]}]', "does not say the number of a frame"),
    "person.json": ([{"image_id": 0, "keypoints": person(), "idx": "Bob"}], "not the number of a person"),
    "nanperson.json": ('{"x": 1}', "no known form"),
    "list.json": ([{"image_id": 0, "keypoints": {"a": 1}}], "list of keypoints is missing"),
    "length.json": ([{"image_id": 0, "keypoints": [1.0] * 50, "idx": 1}], "--layout body25 or --layout ntu"),
    "length2.json": ([{"image_id": 0, "keypoints": [1.0] * 53}], "53 keypoint values"),
    "mixed.json": ([*results(1), {"image_id": 0, "keypoints": person(16)}], "has a pose of 16 joints"),
    "entries.json": ([*results(1), 3], "has no image_id"),
    "tracks.json": ({"1": {"0": 5}}, "list of keypoints is missing"),
    "tracks2.json": ({"1": {"x": {"keypoints": person()}}}, "the frame is not a number"),
    "tracks3.json": ({"1": [3]}, "must hold objects"),
    "images.json": ({"images": [{"id": []}], "annotations": []}, "not the id of an image"),
    "images2.json": ({"images": 3, "annotations": []}, "list of images or annotations is missing"),
    "images3.json": (
        {"images": [{"id": 1, "file_name": "1.jpg"}], "annotations": [{"image_id": 2, "keypoints": person()}]},
        "not that of an image",
    ),
    "people.json": ({"people": [{"pose_keypoints_2d": 3}]}, "list pose_keypoints_2d is missing"),
    "people2.json": ({"people": [{"pose_keypoints_2d": [1.0] * 30}]}, "are not those of BODY_25"),
    "people3.json": ({"people": [3]}, "list pose_keypoints_2d is missing"),
    "mmpose.json": (
        {"instance_info": [{"frame_id": 0, "instances": [{"keypoints": [[1, 2]] * 17, "keypoint_scores": [1]}]}]},
        "one number for each joint",
    ),
    "mmpose2.json": ({"instance_info": [3]}, "list of instances is missing"),
    "twice.json": ('{"1": {}, "1": {}}', "appears twice"),
    "table.csv": ("frame,joint,x,y\n0,nose,1,2\n", "do not tell which is the left_shoulder"),
    "table2.csv": ("frame,joint,x,y\nNaN,16,1,2\n", "number of a frame"),
    "table3.csv": ("frame,joint,x,y\n1e300,16,1,2\n", "not the number of a frame"),
    "table4.csv": ("frame,joint,x,y\n0,0,1,2\n0,0,1,2\n", "--layout"),
    "table5.csv": ("frame,joint,x,y\n0,16,a,2\n", "is not a number"),
    "table6.csv": ("frame,joint,x,y\n0,16,1\n", "has 3 values, and the first line has 4"),
    "table7.csv": ("time,joint,x,y\n0,16,1,2\n", "has no column frame"),
    "table8.csv": ("frame,x0,y0\n0,1,2\n", "give the --layout"),
    "table9.csv": ('frame,joint,x,y\n0,"16,1,2\n', "is not a table"),
    "table10.csv": ("frame,a,b\n0,1,2\n", "has no columns"),
    "lines_1.txt": ("0 0.5 0.5 0.1 0.1 " + "0.5 " * 40, "45 values are not class, box and 17 joints"),
    "lines_2.txt": ("0 0.5 0.5 0.1 0.1 " + "0.5 " * 51 + "\n0 0.5", "has 2 values, and others have 56"),
    "unknown.npy": ("hello", "of no known form"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_gets_one_sentence(tmp_path: Path, name: str) -> None:
    content, words = HOSTILE[name]
    assert words in refused(tmp_path / "out", save(tmp_path / name, content), "--frame-size", "640x480")


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("evil"),))


def header(shape: str, descr: str = "'<f4'") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def test_hostile_bytes_get_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save(tmp_path / "pickled.npy", np.array([Evil()], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "two.npz", a=np.zeros(3), b=np.zeros(3))
    np.savez(tmp_path / "pickled.npz", keypoints=np.array([Evil()], dtype=object))
    (tmp_path / "vast.npy").write_bytes(header("(1000000, 1000000, 17, 3)"))
    (tmp_path / "code.npy").write_bytes(header("().__class__"))
    (tmp_path / "magic.npy").write_bytes(b"\x93NUMPY")
    np.save(tmp_path / "flat.npy", np.zeros(51))
    np.save(tmp_path / "joints.npy", np.ones((4, 15, 3)))
    (tmp_path / "cut.json.gz").write_bytes(gzip.compress(json.dumps(results(50)).encode())[:-40])
    (tmp_path / "cut.npz").write_bytes((tmp_path / "two.npz").read_bytes()[:100])
    (tmp_path / "bytes.json").write_bytes(b"[\xff\xfe")
    (tmp_path / "empty.bin").write_bytes(b"")
    expected = {
        "pickled.npy": "never unpickled", "pickled.npz": "never unpickled", "two.npz": "holds 2 arrays",
        "vast.npy": "not an array of plain numbers", "code.npy": "not an array", "magic.npy": "not an array",
        "flat.npy": "has the shape (51,)", "joints.npy": "has 15 joints", "cut.json.gz": "damaged gzip file",
        "cut.npz": "not an archive of arrays", "bytes.json": "not UTF-8", "empty.bin": "of no known form",
        "missing.json": "There is no file or folder",
    }  # fmt: skip
    for name, words in expected.items():
        assert words in refused(tmp_path / "out", tmp_path / name), name
    assert not (tmp_path / "evil").exists()


def test_a_gzip_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "MAX_BYTES", 1 << 20)
    monkeypatch.setattr(bounded, "MAX_VALUES", 1 << 17)
    monkeypatch.setattr("daflow.formats.recognise.MAX_FRAME_BYTES", 1 << 10)
    (tmp_path / "bomb.json.gz").write_bytes(gzip.compress(b"[" + b" " * (64 << 20)))
    assert "larger than 1 MiB" in refused(tmp_path / "out", tmp_path / "bomb.json.gz")
    save(tmp_path / "many.json", "[" + "[]," * (1 << 17) + "[]]")
    assert "more than 131072 values" in refused(tmp_path / "out", tmp_path / "many.json")
    save(tmp_path / "hall_01_keypoints.json.gz", '{"people": [' + " " * 2000)
    assert "larger than 0 MiB" in refused(tmp_path / "out", tmp_path / "hall_01_keypoints.json.gz")
    np.savez_compressed(tmp_path / "bomb.npz", keypoints=np.zeros((4000, 17, 3)))
    assert "more than 1 MiB" in refused(tmp_path / "out", tmp_path / "bomb.npz")
