"""`daflow doctor` on made-up machines, on real ports, cameras and bundles, and as a command."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st

from daflow.cli import main
from daflow.core.bundle import Bundle
from runtime.commands.doctor import table
from runtime.config.schema import Config
from runtime.doctor import config_checks, receivers
from runtime.doctor import machine as doctor_machine
from runtime.doctor import packages as doctor_packages
from runtime.doctor import sources as doctor_sources
from runtime.doctor.diagnose import diagnose
from runtime.doctor.findings import Finding, Requirements, requirements
from runtime.doctor.sources import FirstPicture
from runtime.machine.board import Machine, Ran

ORIN = {
    "proc/device-tree/model": "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super\0",
    "etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64\n",
    "etc/nvpmodel.conf": "< POWER_MODEL ID=0 NAME=15W >\nCPU_ONLINE CORE_0 1\n< POWER_MODEL ID=1 NAME=25W >\n"
    "< POWER_MODEL ID=2 NAME=MAXN_SUPER >\n",
    "usr/local/cuda/bin/nvcc": "",
    "usr/local/cuda/version.json": '{"cuda": {"name": "CUDA SDK", "version": "12.6.11"}}',
    "proc/loadavg": "0.52 0.58 0.59 1/467 1234\n",
    "proc/meminfo": "MemTotal:        7802136 kB\nMemFree:          224412 kB\nMemAvailable:    4893460 kB\n",
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone0/temp": "48968\n",
}
CLOCKS = """SOC family:tegra234  Machine:NVIDIA Jetson Orin Nano
Online CPUs: 0-1
cpu0: Online=1 Governor=schedutil MinFreq={low} MaxFreq=1728000 CurrentFreq=1344000 IdleStates: WFI=1 c7=1
cpu1: Online=1 Governor=schedutil MinFreq={low} MaxFreq=1728000 CurrentFreq=1344000 IdleStates: WFI=1 c7=1
cpu2: Online=0 Governor=schedutil MinFreq=729600 MaxFreq=1728000 CurrentFreq=729600 IdleStates: WFI=1 c7=1
GPU MinFreq=1020000000 MaxFreq=1020000000 CurrentFreq=1020000000
EMC MinFreq=204000000 MaxFreq=3199000000 CurrentFreq=3199000000 FreqOverride=0
"""
GST = "GStreamer 1.20.3\n"


def made_up(folder: Path, files: Mapping[str, str], said: Mapping[str, str | Ran] | None = None) -> Machine:
    """A machine with these files, whose commands say this; a program of Python is known by a word in it."""
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)

    def run(command: Sequence[str]) -> Ran:
        text = " ".join(command)
        for word, answer in (said or {}).items():
            if word in text:
                return Ran(command, 0, answer, "") if isinstance(answer, str) else answer
        return Ran(command, 127, "", "No such file or directory")

    return Machine(folder, run)


def failed(reason: str, status: int = 1) -> Ran:
    return Ran([], status, "", f"Traceback (most recent call last):\n{reason}\n")


# Packages and bundles that are needed only sometimes


@pytest.mark.parametrize(
    ("fields", "state"),
    [({}, "absent"), ({"record": "r"}, "absent"), ({"record": "r", "record_format": "parquet"}, "problem")],
)
def test_pyarrow_is_needed_where_skeletons_are_recorded_as_parquet(
    bundle: Bundle, tmp_path: Path, fields: dict[str, str], state: str
) -> None:
    machine = made_up(
        tmp_path, {}, {"import pyarrow": failed("ModuleNotFoundError: No module named 'pyarrow'")}
    )
    findings = {
        finding.name: finding for finding in diagnose(machine, config=config_of(bundle.folder, **fields))
    }
    assert findings["pyarrow"].state == state


def test_without_a_bundle_the_one_of_the_package_is_checked(tmp_path: Path) -> None:
    findings = {finding.name: finding for finding in diagnose(made_up(tmp_path, {}))}
    assert findings["bundle"].state == "warning"
    assert "provisional" in findings["bundle"].found


# The board


def test_a_jetson_and_its_release_are_named(tmp_path: Path) -> None:
    found = doctor_machine.board(made_up(tmp_path, ORIN))
    assert found.state == "ok"
    assert "Orin Nano" in found.found
    assert "L4T 36.4.3, JetPack 6" in found.found


def test_jetpack_5_is_too_old(tmp_path: Path) -> None:
    old = {"etc/nv_tegra_release": "# R35 (release), REVISION: 4.1, GCID: 1\n"}
    found = doctor_machine.board(made_up(tmp_path, old))
    assert found.state == "problem"
    assert "JetPack 6 or 7" in str(found.advice)


def test_another_board_is_named_by_its_device_tree_and_a_pc_has_none(tmp_path: Path) -> None:
    assert doctor_machine.board(Machine(tmp_path)).state == "absent"
    found = doctor_machine.board(made_up(tmp_path, {"proc/device-tree/model": "Raspberry Pi 5\0"}))
    assert (found.state, found.found) == ("ok", "Raspberry Pi 5")


@pytest.mark.parametrize(
    ("said", "state", "advice"),
    [
        ("NV Power Mode: 15W\n0\n", "warning", "sudo nvpmodel -m 2 sets MAXN_SUPER"),
        ("NV Fan Mode:quiet\nNV Power Mode: MAXN_SUPER\n2\n", "ok", None),
        (failed("NVPM ERROR: cannot read the status"), "warning", "sudo nvpmodel -q"),
    ],
)
def test_the_power_mode(tmp_path: Path, said: Any, state: str, advice: str | None) -> None:
    found = doctor_machine.power_mode(made_up(tmp_path, ORIN, {"nvpmodel": said}))
    assert found.state == state
    assert (advice or "None") in str(found.advice)


def test_without_nvpmodel_there_is_no_power_mode(tmp_path: Path) -> None:
    assert doctor_machine.power_mode(made_up(tmp_path, {})).state == "absent"


@pytest.mark.parametrize(
    ("low", "state", "found"), [(729600, "warning", "cpu0, cpu1 vary"), (1728000, "ok", "fixed")]
)
def test_the_clocks_as_jetson_clocks_shows_them(tmp_path: Path, low: int, state: str, found: str) -> None:
    machine = made_up(tmp_path, ORIN, {"jetson_clocks": CLOCKS.format(low=low)})
    finding = doctor_machine.clocks(machine)
    assert (finding.state, finding.found) == (state, found)
    assert (finding.advice is None) == (state == "ok")


@pytest.mark.parametrize(
    ("governor", "low", "jetson", "state", "advice"),
    [
        ("schedutil", "729600", True, "warning", "sudo jetson_clocks"),
        ("schedutil", "1728000", True, "ok", "None"),  # as jetson_clocks leaves it
        ("powersave", "800000", False, "warning", "scaling_governor"),
        ("performance", "800000", False, "ok", "None"),
    ],
)
def test_the_clocks_as_the_kernel_shows_them_to_everybody(
    tmp_path: Path, governor: str, low: str, jetson: bool, state: str, advice: str
) -> None:
    values = {"governor": governor, "min_freq": low, "max_freq": "1728000"}
    cpus = {
        f"sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_{name}": value
        for cpu in range(2)
        for name, value in values.items()
    }
    found = doctor_machine.clocks(made_up(tmp_path, {**(ORIN if jetson else {}), **cpus}))
    assert (found.state, found.found) == (state, f"governor {governor}")
    assert advice in str(found.advice)


def test_clocks_that_cannot_be_seen(tmp_path: Path) -> None:
    assert doctor_machine.clocks(Machine(tmp_path, lambda command: Ran(command, 1, "", ""))).state == "absent"


def test_load_heat_and_memory(tmp_path: Path) -> None:
    calm = made_up(tmp_path / "calm", ORIN)
    assert doctor_machine.cpu_load(calm).state == "ok"
    assert doctor_machine.heat(calm).found == "49 °C"
    assert doctor_machine.memory(calm) == Finding("memory", "ok", "4.9 GB of 7.8 GB free")
    hot = {
        "proc/loadavg": "512.0 100.0 50.0 1/467 1234\n",
        "sys/class/thermal/thermal_zone0/temp": "92000\n",
        "proc/meminfo": "MemTotal: 7802136 kB\nMemAvailable: 301000 kB\n",
    }
    strained = made_up(tmp_path / "hot", {**ORIN, **hot})
    for check in (doctor_machine.cpu_load, doctor_machine.heat, doctor_machine.memory):
        assert check(strained).state == "warning"
        assert check(strained).advice
    assert doctor_machine.heat(Machine(tmp_path / "none")).state == "absent"


@pytest.mark.parametrize(
    ("said", "state"),
    [("NTPSynchronized=yes\n", "ok"), ("NTPSynchronized=no\n", "warning"), (failed("no bus"), "absent")],
)
def test_the_clock(tmp_path: Path, said: Any, state: str) -> None:
    assert doctor_machine.clock(made_up(tmp_path, {}, {"timedatectl": said})).state == state


def test_free_disk_is_that_of_the_nearest_folder_that_exists(tmp_path: Path) -> None:
    found = doctor_machine.disk(tmp_path / "not" / "yet" / "events.db")
    assert re.fullmatch(rf"\d+\.\d\d GB free at {re.escape(str(tmp_path))}", found.found)


@pytest.mark.parametrize(
    ("free", "state"), [(5e9, "ok"), (0.5e9, "warning"), (0.05e9, "problem")], ids=["5", "0.5", "0.05"]
)
def test_a_disk_that_fills_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: float, state: str
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=int(free))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert doctor_machine.disk(tmp_path).state == state


def test_a_folder_that_cannot_be_written_is_a_problem() -> None:
    found = doctor_machine.disk(Path("/proc/events.db"))
    assert found.state == "problem"
    assert "cannot be written" in found.found


# Packages


def test_the_gpu(tmp_path: Path) -> None:
    orin = made_up(tmp_path / "a", ORIN, {"find_gpu": "Orin, sm87, CUDA 12.6\n"})
    assert doctor_packages.gpu(orin) == Finding("GPU", "ok", "Orin, sm87, CUDA 12.6")
    hidden = doctor_packages.gpu(made_up(tmp_path / "b", ORIN, {"find_gpu": ""}))
    assert hidden.state == "warning"
    assert "--runtime nvidia" in str(hidden.advice)
    assert doctor_packages.gpu(made_up(tmp_path / "c", {}, {"find_gpu": ""})).state == "absent"


def test_cuda(tmp_path: Path) -> None:
    assert doctor_packages.cuda(made_up(tmp_path / "a", ORIN)).found == "toolkit 12.6.11"
    strange = {**ORIN, "usr/local/cuda/version.json": "[1]"}
    assert "unknown" in doctor_packages.cuda(made_up(tmp_path / "b", strange)).found
    without = {path: text for path, text in ORIN.items() if "nvcc" not in path}
    assert doctor_packages.cuda(made_up(tmp_path / "c", without)).state == "warning"
    assert doctor_packages.cuda(made_up(tmp_path / "d", {})).state == "absent"


@pytest.mark.parametrize(
    ("jetson", "needed", "state"),
    [
        (True, None, "warning"), (True, True, "problem"), (True, False, "absent"),
        (False, None, "absent"), (False, True, "problem"), (False, False, "absent"),
    ],
)  # fmt: skip
def test_tensorrt_pycuda_and_gstreamer_are_missed_where_they_are_wanted(
    tmp_path: Path, jetson: bool, needed: bool | None, state: str
) -> None:
    lost = failed("ModuleNotFoundError: No module named 'pycuda'")
    machine = made_up(tmp_path, ORIN if jetson else {}, {"load_tensorrt": "", "pycuda": lost})
    for check in (doctor_packages.tensorrt, doctor_packages.pycuda, doctor_packages.gstreamer):
        found = check(machine, needed)
        assert found.state == state
        assert (found.advice is None) == (state == "absent")


def test_what_is_there_says_its_version(tmp_path: Path) -> None:
    said = {"load_tensorrt": "tensorrt 10.3.0\n", "pycuda.driver": "2024.1\n", "gst_version": GST}
    machine = made_up(tmp_path, ORIN, said)
    assert doctor_packages.tensorrt(machine).found == "tensorrt 10.3.0"
    assert doctor_packages.pycuda(machine).found == "2024.1"
    assert doctor_packages.gstreamer(machine).found == "1.20.3"


def test_a_tensorrt_that_does_not_run_on_the_gpu_is_not_ok(tmp_path: Path) -> None:
    reason = "tensorrt_rtx 1.7.1 does not run on this GPU (H100, sm90)."
    machine = made_up(tmp_path, {}, {"load_tensorrt": failed(reason)})
    for needed, state in ((None, "warning"), (True, "problem"), (False, "absent")):
        assert doctor_packages.tensorrt(machine, needed) == Finding("TensorRT", state, reason)


def test_a_package_that_is_missing_broken_or_crashes(tmp_path: Path) -> None:
    said = {
        "gone": failed("ModuleNotFoundError: No module named 'gone'"),
        "half": failed("ImportError: libGL.so.1: cannot open shared object file"),
        "killed": failed("", -11),
    }
    machine = made_up(tmp_path, {}, said)
    gone = doctor_packages.package(machine, "gone", "import gone")
    assert (gone.state, gone.found) == ("problem", "not installed")
    assert "daflow[edge]" in str(gone.advice)
    half = doctor_packages.package(machine, "half", "import half")
    assert "libGL" in half.found
    assert "apt-get install" in str(half.advice)
    assert "Segmentation fault" in doctor_packages.package(machine, "killed", "import killed").found
    # A package that need not be there, and is there but broken, is worth a look.
    assert doctor_packages.package(machine, "gone", "import gone", "absent").state == "absent"
    assert doctor_packages.package(machine, "half", "import half", "absent").state == "warning"


def test_the_packages_of_this_environment_load() -> None:
    for name, how in doctor_packages.packages(Requirements()).items():
        found = doctor_packages.package(Machine(), name, *how)
        assert found.state == "ok", found
        assert re.match(r"\d+\.\d+", found.found), found


# What is needed


def config_of(bundle: Path, source: str = "synthetic:", **fields: Any) -> Config:
    return Config.model_validate({"bundle": bundle, "cameras": {"door": {"source": source}}, **fields})


def test_what_a_configuration_needs(tmp_path: Path) -> None:
    little = requirements(config_of(tmp_path), ["synthetic:"])
    assert little == Requirements(False, False, False, False, False, False)
    full = {
        "scorer": "tensorrt", "mqtt": {"host": "broker"}, "webhook": {"url": "https://example.com/"},
        "serve": {"address": "127.0.0.1:8080"}, "record": "recordings", "record_format": "parquet",
    }  # fmt: skip
    much = requirements(config_of(tmp_path, "csi://0", **full), ["csi://0"])
    assert much == Requirements(True, True, True, True, True, True)
    network = requirements(config_of(tmp_path, "rtsp://camera/"), ["rtsp://camera/"])
    assert (network.pictures, network.gstreamer) == (True, False)


# Sources


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def look_at(uri: str) -> Finding:
    return doctor_sources.source(Machine(), "camera door", uri)


@pytest.mark.parametrize(
    ("uri", "said", "advice"),
    [
        ("rtsp://127.0.0.1:{port}/live", "Connection refused", "Check that it is on"),
        ("http://127.0.0.1:{port}/mjpeg", "Connection refused", "Check that it is on"),
        ("rtsp://camera.invalid/live", "port 554", "its address is right"),
        ("rtsp://user:8554/slash@127.0.0.1/live", "***", "its address is right"),
        ("rtsp://:99999/", "is invalid", "None"),
        ("rtsp://127.0.0.1/live#transport=pigeon", "tcp or udp", "None"),
        ("rtsp://guard:${NOT_SET_ANYWHERE}@camera/live", "NOT_SET_ANYWHERE", "None"),
        ("v4l2:///dev/video-of-nobody", "no /dev/video-of-nobody", "Plug the camera in"),
        ("991", "no /dev/video991", "Plug the camera in"),
        ("nowhere.mp4", "no video nowhere.mp4", "None"),
        ("tracks:nowhere.json", "nowhere.json", "None"),
        ("synthetic:colour=red", "colour", "None"),
        ("ftp://host/file", "no sources of the kind", "None"),
        ("", "source is empty", "None"),
    ],
)
def test_a_source_that_cannot_be_reached(uri: str, said: str, advice: str) -> None:
    found = look_at(uri.format(port=free_port()) if "{port}" in uri else uri)
    assert found.state == "problem"
    assert said in found.found
    assert advice in str(found.advice)


def test_a_port_where_nothing_but_silence_comes(tmp_path: Path) -> None:
    """Some other program listens where a camera should."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        uri = f"rtsp://127.0.0.1:{other.getsockname()[1]}/live#timeout=1"
        found = look_at(uri)
    assert found.state == "problem"
    assert "Check that the camera is on" in str(found.advice)


def test_recordings_and_generated_people_show_a_picture(
    record_video: Callable[..., Path], tmp_path: Path
) -> None:
    video = record_video(tmp_path / "shop.mp4", frames=5)
    assert look_at(str(video)) == Finding("camera door", "ok", f"{video}, 64x48, 25 frames per second")
    assert look_at(f"file://{video}").state == "ok"
    assert look_at("synthetic:") == Finding("camera door", "ok", "synthetic:, 1280x720, 25 frames per second")
    (tmp_path / "cut.mp4").write_bytes(video.read_bytes()[:200])
    assert look_at(str(tmp_path / "cut.mp4")).state == "problem"
    (tmp_path / "empty").mkdir()
    assert look_at(str(tmp_path / "empty")).state == "problem"


def test_a_camera_with_a_password(rtsp_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rtsp_server.start(account=("guard", "open-sesame"))
    monkeypatch.setenv("CAMERA_PASSWORD", "open-sesame")
    without = look_at(rtsp_server.uri)
    assert without.state == "problem"
    assert "401" in without.found
    assert "password" in str(without.advice)
    known = rtsp_server.uri.replace("rtsp://", "rtsp://guard:${CAMERA_PASSWORD}@")
    found = look_at(known)
    assert found.state == "ok"
    assert found.found.startswith(f"rtsp://127.0.0.1:{rtsp_server.port}, 320x240")
    elsewhere = look_at(known.replace("/live", "/other"))
    assert elsewhere.state == "problem"
    assert "path" in str(elsewhere.advice)
    wrong = look_at(rtsp_server.uri.replace("rtsp://", "rtsp://guard:swordfish@"))
    assert wrong.state == "problem"
    assert "swordfish" not in str(wrong)


def test_pipelines_of_gstreamer() -> None:
    if shutil.which("gst-launch-1.0") is None:
        pytest.skip("GStreamer is not here")
    assert look_at("gst:videotestsrc ! video/x-raw,width=160,height=120").found == (
        "gst:..., 160x120, 30 frames per second"
    )
    assert "no element" in look_at("gst:nosuchelement ! fakesink").found


def test_devices_of_a_made_up_machine(tmp_path: Path) -> None:
    machine = made_up(tmp_path, {"dev/video0": ""}, {"nvarguscamerasrc": ""})
    for uri in ("0", "v4l2:///dev/video0?width=640", "csi://0"):
        found = doctor_sources.source(machine, "camera door", uri, lambda _: FirstPicture((640, 480), 30.0))
        assert (found.state, found.found) == ("ok", f"{uri}, 640x480, 30 frames per second")
        slow = doctor_sources.source(
            machine, "camera door", uri, lambda _: FirstPicture((640, 480), 4.0), model_fps=30.0
        )
        assert slow.state == "problem"
        assert "4 frames per second are too few for a model of 30: at least 5 are needed" in slow.found
    without = doctor_sources.source(made_up(tmp_path, {}), "camera door", "csi://0")
    assert without.found == "csi://0: no nvarguscamerasrc"
    assert "nvidia-l4t-gstreamer" in str(without.advice)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_device_that_is_locked(tmp_path: Path) -> None:
    machine = made_up(tmp_path, {"dev/video0": ""})
    (tmp_path / "dev/video0").chmod(0)
    assert "usermod -aG video" in str(doctor_sources.source(machine, "camera", "0").advice)


SECRET = "Xq7-sEsAmE-9z"  # noqa: S105


@example("", "a@b", "", "", "127.0.0.1:9", "")
@example("rtsp://", "guard", "${", "}", "127.0.0.1:9", "")
@example("rtsp://", "guard", "${:", "}", "127.0.0.1:9", "")
@given(
    scheme=st.sampled_from(
        ["rtsp://", "rtsps://", "http://", "https://", "RTSP://", "rtsp:/", "rtsp:", "rtsp//", "ftp://", ""]
    ),
    user=st.sampled_from(["guard", "", "a:b", "a/b", "a@b"]),
    before=st.text("ab/?#@:%[]${} ", max_size=4),
    after=st.text("ab/?#@:%[]${} ", max_size=4),
    # The port is closed and the host has no name, so that nothing leaves this machine.
    host=st.sampled_from(["127.0.0.1:9", "[::1]:9", "camera.invalid", "127.0.0.1:x", ""]),
    rest=st.sampled_from(["", "/live", "/live?token=" + SECRET, "/#transport=udp", "/#" + SECRET, "/@"]),
)
def test_no_password_is_ever_shown(
    scheme: str, user: str, before: str, after: str, host: str, rest: str
) -> None:
    def look(uri: str) -> FirstPicture:
        from runtime.sources.uri import connector, is_live, open_source

        if is_live(uri):
            connector(uri)
            return FirstPicture((1, 1))
        with open_source(uri):
            return FirstPicture((1, 1))

    uri = f"{scheme}{user}:{before}{SECRET}{after}@{host}{rest}"
    found = doctor_sources.source(Machine(), "camera door", uri, look)
    assert SECRET not in str(dataclasses.asdict(found)), uri


# The service


def test_a_bundle_that_is_whole_broken_or_without_a_threshold(bundle: Bundle, tmp_path: Path) -> None:
    whole = config_checks.bundle_files(bundle.folder)
    assert whole.state == "ok"
    assert bundle.manifest.alarm is not None
    assert f"threshold {bundle.manifest.alarm.threshold:.3f}" in whole.found
    assert config_checks.bundle_files(tmp_path / "nowhere").state == "problem"
    broken = Path(shutil.copytree(bundle.folder, tmp_path / "broken"))
    with (broken / "scorer.fp32.onnx").open("ab") as graph:
        graph.write(b"x")
    found = config_checks.bundle_files(broken)
    assert found.state == "problem"
    assert "scorer.fp32.onnx" in found.found


def test_a_bundle_without_a_threshold(bundle: Bundle, tmp_path: Path) -> None:
    from daflow.core.bundle import write_manifest

    folder = Path(shutil.copytree(bundle.folder, tmp_path / "plain"))
    write_manifest(folder, bundle.manifest.model_copy(update={"alarm": None}))
    assert config_checks.bundle_files(folder).state == "warning"
    needs_one = config_checks.bundle_files(folder, config_of(folder))
    assert needs_one.state == "problem"
    assert "daflow-calibrate alarm" in needs_one.found
    assert config_checks.bundle_files(folder, config_of(folder, alarm={"threshold": 4})).state == "ok"


def test_the_pose_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAFLOW_MODELS", str(tmp_path))
    missing = doctor_packages.pose_model()
    assert missing.state == "problem"
    assert "5.8 MB, licence Apache-2.0): daflow models fetch;" in (missing.advice or "")
    assert doctor_packages.pose_model(False).state == "absent"


def test_the_estimator_of_each_camera_is_opened_in_a_process_of_its_own(tmp_path: Path) -> None:
    """Cameras that find people in the same way share one; a crash is a finding."""
    missing, unknown = {"source": "a.mp4", "pose_model": "own.task"}, {"source": "b.mp4", "estimator": "mine"}
    config = Config.model_validate(
        {
            "bundle": tmp_path,
            "cameras": {"door": missing, "hall": missing, "yard": unknown, "gate": {"source": "synthetic:"}},
        }
    )
    checks = dict(config_checks.config_checks(config, Machine(), connect=False))
    assert [name for name in checks if name.startswith("poses")] == ["poses door, hall", "poses yard"]
    assert checks["poses door, hall"]() == Finding(
        "poses door, hall",
        "problem",
        f"There is no pose model {Path('own.task').resolve()}; 'daflow models fetch' downloads one.",
    )
    assert "There is no pose estimator mine" in checks["poses yard"]().found
    crashing = dict(
        config_checks.config_checks(
            config, made_up(tmp_path, {}, {"open_people": failed("", -11)}), connect=False
        )
    )
    assert "Segmentation fault" in crashing["poses yard"]().found


def test_both_commands_make_the_same_checks_and_only_one_connects(tmp_path: Path) -> None:
    cameras = {"door": {"source": f"rtsp://127.0.0.1:{free_port()}/live"}, "yard": {"source": "ftp://host/x"}}
    away = {"host": "127.0.0.1", "port": free_port()}
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        serve = {"address": f"127.0.0.1:{other.getsockname()[1]}"}
        config = Config.model_validate(
            {
                "bundle": tmp_path,
                "cameras": cameras,
                "mqtt": away,
                "serve": serve,
                "store": {"path": tmp_path},
            }
        )
        machine = made_up(tmp_path / "root", {}, {"open_people": "", " -c ": "1.0\n"})
        errors = [line.partition(":")[0] for line in config_checks.config_errors(config, machine)]
        found = {finding.name: finding.state for finding in diagnose(machine, config=config)}
    assert errors == ["bundle", "store", "camera yard"]
    assert {name for name in errors if found[name] == "problem"} == set(errors)
    assert (found["camera door"], found["live page"], found["MQTT broker"]) == (
        "problem",
        "problem",
        "warning",
    )


def test_the_live_page_needs_a_free_port_and_a_token(tmp_path: Path) -> None:
    def page(address: str, **more: Any) -> Finding:
        return config_checks.page(config_of(tmp_path, serve={"address": address, **more}))

    assert page("127.0.0.1:0").state == "ok"
    assert "needs a token" in page("0.0.0.0:0").found
    (tmp_path / "token").write_text("a-long-token\n")
    assert "with a token" in page("0.0.0.0:0", token_file=tmp_path / "token").found
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        # It does not listen, so that asking it is refused and not silent.
        found = page(f"127.0.0.1:{other.getsockname()[1]}")
    assert found.state == "problem"
    assert "in use" in found.found


def test_the_commissioning_says_whether_it_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_of(tmp_path, commissioning={"folder": tmp_path / "house"})
    (name,) = config.cameras
    found = config_checks.commissioning(config)
    assert (found.state, found.found) == ("ok", f"{tmp_path / 'house'}, {name}: trained and calibrated")
    monkeypatch.setattr("runtime.commissioning.bundle_maker._TRAINING", ("no_such_package",))
    assert "as torch is not installed" in config_checks.commissioning(config).found
    (tmp_path / "house").touch()
    assert config_checks.commissioning(config).state == "problem"


def test_a_service_that_runs_already_is_no_problem(tmp_path: Path) -> None:
    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.path == "/health"
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"ok":true}')

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Health) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        address = f"127.0.0.1:{server.server_port}"
        found = config_checks.page(config_of(tmp_path, serve={"address": address}))
        thread.join()
    assert found.state == "ok"
    assert "daflow-edge answers there" in found.found


def test_brokers_and_web_servers_that_are_away_only_make_events_wait(
    tmp_path: Path, mosquitto: Callable[..., Any]
) -> None:
    broker = mosquitto()
    mqtt = {"host": "127.0.0.1", "port": broker.port}
    assert receivers.broker(config_of(tmp_path, mqtt=mqtt)).state == "ok"
    broker.stop()
    away = receivers.broker(config_of(tmp_path, mqtt=mqtt))
    assert away.state == "warning"
    assert away.found == f"127.0.0.1, port {broker.port}: Connection refused"
    assert "wait in the store" in str(away.advice)
    secret = {"password_env": "NOT_SET_ANYWHERE"}
    assert receivers.broker(config_of(tmp_path, mqtt={**mqtt, **secret})).state == "problem"
    assert receivers.broker(config_of(tmp_path, mqtt=mqtt), connect=False).state == "ok"
    url = f"http://127.0.0.1:{free_port()}/?token={SECRET}"
    hook = receivers.webhook(config_of(tmp_path, webhook={"url": url}))
    assert hook.state == "warning"
    assert SECRET not in str(hook)
    no_port = config_of(tmp_path, webhook={"url": "http://host:port/"})
    assert receivers.webhook(no_port).state == "problem"


def test_a_broker_that_refuses_the_login_is_a_problem(
    tmp_path: Path, mosquitto: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = mosquitto("hunter2")
    mqtt = {"host": "127.0.0.1", "port": broker.port, "username": "daflow", "password_env": "BROKER_PASSWORD"}
    for password, state in (("hunter2", "ok"), ("wrong", "problem")):
        monkeypatch.setenv("BROKER_PASSWORD", password)
        found = receivers.broker(config_of(tmp_path, mqtt=mqtt))
        assert found.state == state, found
    assert found.found == f"127.0.0.1, port {broker.port}: Not authorized"
    assert "mqtt.username" in str(found.advice)
    assert receivers.broker(config_of(tmp_path, mqtt={**mqtt, "username": None})).state == "problem"
    assert (
        receivers.broker(config_of(tmp_path, mqtt={"host": "127.0.0.1", "port": broker.port})).state
        == "problem"
    )


# paho does not close the socket of a failed handshake; it goes with its last reference.
@pytest.mark.filterwarnings("ignore:.*unclosed <ssl.SSLSocket")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_certificates_of_receivers_are_checked(tmp_path: Path, mosquitto: Callable[..., Any]) -> None:
    broker, other = mosquitto(tls=True), mosquitto(tls=True)
    for ca_file, state in ((broker.ca, "ok"), (other.ca, "problem"), (None, "problem")):
        mqtt = {"host": "127.0.0.1", "port": broker.port, "tls": True, "ca_file": ca_file}
        found = receivers.broker(config_of(tmp_path, mqtt=mqtt))
        assert found.state == state, found
        hook = {"url": f"https://127.0.0.1:{broker.port}/", "ca_file": ca_file}
        found = receivers.webhook(config_of(tmp_path, webhook=hook))
        assert found.state == state, found
    assert "its certificate is not valid" in found.found
    missing = config_of(tmp_path, webhook={"url": "https://127.0.0.1/", "ca_file": tmp_path / "missing.pem"})
    assert receivers.webhook(missing, connect=False).state == "problem"


# paho does not close the socket of a failed handshake; it goes with its last reference.
@pytest.mark.filterwarnings("ignore:.*unclosed <")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_receivers_that_drip_are_away(
    tmp_path: Path, dripping_server: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.doctor.receivers._CONNECT_S", 0.5)
    tls = dripping_server(b"\x16\x03\x03\x40\x00").port
    for mqtt in ({"port": dripping_server(b"\x20", b"").port}, {"port": tls, "tls": True}):
        found = receivers.broker(config_of(tmp_path, mqtt={"host": "127.0.0.1", **mqtt}))
        assert found.state == "warning", found
    found = receivers.webhook(config_of(tmp_path, webhook={"url": f"https://127.0.0.1:{tls}/"}))
    assert (found.state, found.found) == ("warning", f"127.0.0.1, port {tls}: timed out")


def test_a_page_that_drips_is_not_ours(
    tmp_path: Path, dripping_server: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.doctor.config_checks._TIMEOUT_S", 0.5)
    address = f"127.0.0.1:{dripping_server(b'HTTP/1.1 200 OK').port}"
    assert config_checks.page(config_of(tmp_path, serve={"address": address})).state == "problem"


def test_a_store_that_outlives_the_run(tmp_path: Path) -> None:
    assert config_checks.store(config_of(tmp_path)).state == "warning"
    assert config_checks.store(config_of(tmp_path, store={"path": tmp_path / "e.db"})).state == "ok"
    assert config_checks.store(config_of(tmp_path, store={"path": tmp_path})).state == "problem"
    files = {
        "store": {"path": tmp_path / "a/e.db"},
        "events": tmp_path / "b/e.jsonl",
        "scores": tmp_path / "a/s",
    }
    assert config_checks.written_files(config_of(tmp_path, **files)) == [
        tmp_path / "a/e.db", tmp_path / "b/e.jsonl",
    ]  # fmt: skip


# All of it


def test_a_jetson_that_is_in_order_has_no_problem(bundle: Bundle, tmp_path: Path) -> None:
    said = {
        "find_gpu": "Orin, sm87, CUDA 12.6", "load_tensorrt": "tensorrt 10.3.0", "gst_version": GST,
        "nvpmodel": "NV Power Mode: MAXN_SUPER\n2\n", "jetson_clocks": CLOCKS.format(low=1728000),
        "timedatectl": "NTPSynchronized=yes\n", " -c ": "1.0\n",
    }  # fmt: skip
    config = config_of(bundle.folder, scorer="tensorrt", store={"path": tmp_path / "events.db"})
    findings = diagnose(made_up(tmp_path / "root", ORIN, said), config=config)
    assert {finding.name: finding.state for finding in findings if finding.state != "ok"} in (
        {"pose model": "absent"}, {},
    )  # fmt: skip
    assert [finding.name for finding in findings][:6] == [
        "Python", "board", "GPU", "CUDA", "TensorRT", "pycuda",
    ]  # fmt: skip
    assert findings[-1] == Finding("camera door", "ok", "synthetic:, 1280x720, 25 frames per second")


def test_a_check_that_fails_does_not_end_the_others(tmp_path: Path) -> None:
    machine = made_up(tmp_path, {})

    def run(command: Sequence[str]) -> Ran:
        if command[0] == "timedatectl":
            raise IndexError
        return machine.run(command)

    findings = {finding.name: finding for finding in diagnose(Machine(tmp_path, run))}
    assert findings["clock"] == Finding("clock", "warning", "could not be checked (IndexError)")
    assert len(findings) > 20


def test_an_empty_machine_gives_findings_and_no_exception(tmp_path: Path) -> None:
    findings = {finding.name: finding for finding in diagnose(made_up(tmp_path, {}))}
    assert not [finding for finding in findings.values() if "could not be checked" in finding.found]
    for name in ("CPU load", "memory", "clock", "clocks", "temperature"):
        assert findings[name].state == "absent"


def test_a_file_name_colours_no_screen() -> None:
    shown = table([Finding("x", "problem", "no a\x1b[2Jb.mp4", "Look at \x9bc")])
    assert shown == r"FAIL  x  no a\x1b[2Jb.mp4" + "\n" + r"         Look at \x9bc"


def test_the_table_wraps_what_is_long() -> None:
    text = table([Finding("bundle", "problem", "broken " * 30, "mend it " * 30), Finding("x", "ok", "")])
    lines = text.splitlines()
    assert lines[0].startswith("FAIL  bundle  broken")
    assert all(len(line) <= 100 for line in lines)
    assert all(line.startswith(" " * 14) for line in lines[1:-1])
    assert lines[-1] == "ok    x"


def doctor(*words: object) -> Any:
    return CliRunner().invoke(main, ["doctor", *map(str, words)])


def test_the_command_tells_by_its_exit_code(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.commands.doctor.Machine", lambda: made_up(tmp_path, ORIN, {" -c ": "1.0\n"}))
    config = tmp_path / "edge.toml"
    config.write_text(f'bundle = "{bundle.folder}"\n[cameras.door]\nsource = "synthetic:"\n')
    report = tmp_path / "report.json"
    good = doctor("--config", config, "--json", report)
    assert good.exit_code == 0, good.output
    assert re.search(
        r"^ok +camera door +synthetic:, 1280x720, 25 frames per second$", good.output, re.MULTILINE
    )
    facts = json.loads(report.read_text())
    assert facts["ok"] is True
    assert {
        "name": "camera door",
        "state": "ok",
        "found": "synthetic:, 1280x720, 25 frames per second",
        "advice": None,
    } in facts["findings"]
    bad = doctor("--config", config, "--source", "yard=nowhere.mp4", "--json", "-")
    assert bad.exit_code == 1
    assert "camera yard" in bad.output.splitlines()[-1]
    assert json.loads(bad.stdout)["ok"] is False
    config.write_text("cameras = 3\n")
    wrong = doctor("--config", config)
    assert wrong.exit_code == 2
    assert f"{config}: cameras: This must be a table" in wrong.output


def test_the_command_takes_no_password(tmp_path: Path) -> None:
    result = doctor("--source", f"rtsp://guard:{SECRET}@127.0.0.1/live")
    assert result.exit_code == 2
    assert SECRET not in result.output


@pytest.mark.slow
def test_this_machine_from_the_shell(bundle: Bundle) -> None:
    program = Path(sys.executable).with_name("daflow")
    command = [program, "doctor", "--bundle", bundle.folder, "--source", "synthetic:"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "Traceback" not in ran.stdout + ran.stderr
    for name in ("Python", "onnxruntime", "mediapipe", "PyAV", "bundle", "camera"):
        assert re.search(rf"^ok +{name}", ran.stdout, re.MULTILINE), ran.stdout
