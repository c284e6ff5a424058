"""Open a network as it was published: what it computes, and its ONNX graph.

A MediaPipe task, a TFLite network, a TensorFlow.js graph model or an ONNX file. The original is computed by other code
than the graph that is made from it: LiteRT, NumPy, or ONNX Runtime on the file itself.
"""

from __future__ import annotations

import functools
import hashlib
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from daflow.core.errors import InputError
from daflow.core.files import sha256
from daflow.core.scoring.graph_file import has_external_data
from export.pose.assembly import Network
from export.pose.tfjs_graph import parse_tfjs
from export.pose.tfjs_network import convert_tfjs
from export.pose.tfjs_reference import run_tfjs
from export.pose.tflite_network import read_tflite

MAX_BYTES = 2**29  # of a network; those for devices have less than a tenth of it
FIRST_OPSET = 13  # the nodes of the layouts mean the same from there on
TASK_MEMBER = "pose_landmarks_detector.tflite"

Floats = npt.NDArray[np.float32]
Outputs = dict[str, np.ndarray]
Run = Callable[[Floats], Outputs]


@dataclass(frozen=True)
class Original:
    """A network as it was published.

    Attributes:
        path: of its file.
        network: its ONNX graph.
        run: computes the outputs, by the names of `network.outputs`, for normalised pictures `(B, H, W, 3)`.
        by: what computes them, for people.
        sha256: of the file, and of the weights beside it, if any.
        needs: packages that this needs.
    """

    path: Path
    network: Network
    run: Run
    by: str
    sha256: str
    needs: tuple[str, ...] = ()


def open_original(path: Path) -> Original:
    """Open a network; its kind is known by its content.

    Raises:
        InputError: it is missing, damaged or too large, of no known kind, or has an operator that is not supported.
    """
    if not path.is_file():
        raise InputError(f"There is no network {path}.")
    if path.stat().st_size > MAX_BYTES:
        raise InputError(f"{path} has more than {MAX_BYTES >> 20} MiB, which no network for devices has.")
    with path.open("rb") as file:
        start = file.read(64)
    if start.startswith(b"PK"):
        return _open_tflite(_task_member(path), path)
    if start[4:8] == b"TFL3":
        return _open_tflite(path.read_bytes(), path)
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return _open_tfjs(path)
    return _open_onnx(path)


def _task_member(path: Path) -> bytes:
    try:
        with zipfile.ZipFile(path) as task:
            entry = task.getinfo(TASK_MEMBER)
            if entry.file_size > MAX_BYTES:
                raise InputError(f"{path}: its network has more than {MAX_BYTES >> 20} MiB.")
            return task.read(entry)
    except KeyError:
        raise InputError(f"{path} is no MediaPipe pose task: it holds no {TASK_MEMBER}.") from None
    except (
        zipfile.BadZipFile,
        zlib.error,
        OSError,
        EOFError,
        NotImplementedError,
        RuntimeError,
        ValueError,
    ) as error:
        raise InputError(f"{path} is damaged: {error}. Get it again.") from None


def _open_tflite(content: bytes, path: Path) -> Original:
    model = read_tflite(content, str(path))
    network = _channels_first(model)
    names = list(network.outputs)

    @functools.cache
    def opened() -> Run:
        return _one_by_one(_litert(content, path), names)

    def run(pixels: Floats) -> Outputs:
        return opened()(pixels)

    return Original(path, network, run, "LiteRT", sha256(path), ("ai_edge_litert",))


def _litert(content: bytes, path: Path) -> Callable[[Floats], list[np.ndarray]]:
    """Return what computes the outputs of one picture `(1, H, W, 3)`."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    try:
        interpreter = Interpreter(
            model_content=content,
            num_threads=1,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,  # XNNPACK writes to stderr
        )
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise InputError(f"{path} is damaged: LiteRT does not take it ({first_line(error)}).") from None
    (picture,) = interpreter.get_input_details()
    places = [entry["index"] for entry in interpreter.get_output_details()]

    def one(pixels: Floats) -> list[np.ndarray]:
        interpreter.set_tensor(
            picture["index"], pixels if picture["shape"][3] == 3 else pixels.transpose(0, 3, 1, 2)
        )
        interpreter.invoke()
        return [interpreter.get_tensor(place) for place in places]

    return one


def _open_tfjs(path: Path) -> Original:
    graph = parse_tfjs(path)
    network = _channels_first(convert_tfjs(graph, path))

    def one(pixels: Floats) -> list[np.ndarray]:
        return run_tfjs(graph, pixels if graph.shape[3] == 3 else pixels.transpose(0, 3, 1, 2))

    return Original(
        path, network, _one_by_one(one, list(network.outputs)), "NumPy, operator by operator", graph.sha256
    )


def _one_by_one(one: Callable[[Floats], Sequence[np.ndarray]], names: Sequence[str]) -> Run:
    def run(pixels: Floats) -> Outputs:
        results = [one(pixels[index : index + 1]) for index in range(len(pixels))]
        return {
            name: np.concatenate(values)
            for name, values in zip(names, zip(*results, strict=True), strict=True)
        }

    return run


def _channels_first(model: onnx.ModelProto) -> Network:
    """The network of a graph that a converter wrote, whose input is `(B, 3, H, W)`."""
    height, width = (dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim[2:])
    outputs = {
        value.name: (1, *(dim.dim_value for dim in value.type.tensor_type.shape.dim[1:]))
        for value in model.graph.output
    }
    return Network(model, width, height, True, outputs)


def _open_onnx(path: Path) -> Original:
    content = path.read_bytes()
    try:
        external = has_external_data(content)
        model = onnx.load_model_from_string(content)
        reason = None if model.graph.node else "it has no operators"
    except Exception as error:  # noqa: BLE001  protobuf and the checker raise classes of their own for each damage
        reason = first_line(error)
    if reason is not None:
        raise InputError(
            f"{path} is no MediaPipe task, TFLite network, TensorFlow.js graph model or ONNX file: {reason}."
        )
    if external:
        raise InputError(
            f"{path} has weights in another file. Save it with all of its weights in the one file."
        )
    opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)
    if opset < FIRST_OPSET:
        raise InputError(
            f"{path} has opset {opset}. Export it with opset {FIRST_OPSET} or later; 17 is best."
        )
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    sizes = [dim.dim_value for dim in inputs[0].type.tensor_type.shape.dim] if len(inputs) == 1 else []
    if len(sizes) != 4 or 3 not in (sizes[1], sizes[3]) or 0 in sizes[1:]:
        raise InputError(
            f"{path} does not take one RGB picture of a fixed size, [batch, 3, height, width] or "
            "[batch, height, width, 3]."
        )
    channels_first = sizes[1] == 3
    height, width = sizes[2:] if channels_first else sizes[1:3]
    picture = inputs[0]
    picture.type.tensor_type.shape.dim[0].dim_param = "batch"
    del model.graph.value_info[:]
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    run = _onnx_run(model, picture, channels_first, path)
    outputs = run(np.zeros((2, height, width, 3), np.float32))
    if any(value.ndim == 0 or len(value) != 2 for value in outputs.values()):
        raise InputError(f"{path} does not take several pictures at once. Export it with a dynamic batch.")
    shapes = {name: (1, *value.shape[1:]) for name, value in outputs.items()}
    network = Network(model, width, height, channels_first, shapes)
    return Original(path, network, run, "ONNX Runtime", hashlib.sha256(content).hexdigest())


def _onnx_run(model: onnx.ModelProto, picture: Any, channels_first: bool, path: Path) -> Run:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    dtype = onnx.helper.tensor_dtype_to_np_dtype(picture.type.tensor_type.elem_type)
    names = [value.name for value in model.graph.output]
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # noqa: BLE001  ONNX Runtime has a class of its own for each reason
        raise InputError(f"{path} cannot be computed: {first_line(error)}") from None

    def run(pixels: Floats) -> Outputs:
        values = (pixels.transpose(0, 3, 1, 2) if channels_first else pixels).astype(dtype)
        try:
            return dict(zip(names, session.run(names, {picture.name: values}), strict=True))
        except Exception as error:  # noqa: BLE001  as above
            raise InputError(
                f"{path} does not take several pictures at once: {first_line(error)}. Export it with a dynamic batch."
            ) from None

    return run


def first_line(error: BaseException) -> str:
    """Return the first line of what an error of another package says."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
