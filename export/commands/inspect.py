"""`daflow-export inspect`: show what is known about a bundle of either kind, an engine or an ONNX file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from daflow.core.alarms.calibration import AlarmCalibration
from daflow.core.bundle import read_bundle
from daflow.core.command_line import FOLDER, Command, json_option, write_json
from daflow.core.engines.file import MAGIC, EngineHeader, read_engine
from daflow.core.errors import InputError
from daflow.core.evidence import FLOW, unit_of
from daflow.core.files import sha256
from daflow.core.log import one_line, shortened
from daflow.core.pose_bundle import PoseVerdict, is_pose_bundle, read_pose_bundle
from daflow.core.scoring.limits import Verdict


@click.command(cls=Command)
@click.argument("path", type=FOLDER, metavar="BUNDLE|ENGINE|ONNX")
@json_option("what is known")
def inspect(path: Path, json_target: str | None) -> None:
    """Show what a bundle, an engine or an ONNX file was built for, from what, and how it was verified."""
    facts = describe(path)
    if json_target:
        write_json(json_target, facts)
    else:
        click.echo("\n".join(_screen(facts)))


def describe(path: Path) -> dict[str, Any]:
    """Return what is known about a bundle, an engine or an ONNX file, as plain values.

    Raises:
        InputError: it is something else, or is damaged.
    """
    if path.is_dir():
        return _pose_bundle(path) if is_pose_bundle(path) else _bundle(path)
    if not path.is_file():
        raise InputError(f"There is no file or folder {path}.")
    with path.open("rb") as file:
        magic = file.read(len(MAGIC))
    return _engine(read_engine(path)[0], path) if magic == MAGIC else _onnx(path)


def _bundle(folder: Path) -> dict[str, Any]:
    manifest = read_bundle(folder).manifest
    return {
        "kind": "bundle",
        "path": str(folder),
        **manifest.model_dump(mode="json", by_alias=True, exclude={"format"}),
        "engines": _engines(folder / "engines", folder / "engines", manifest.files),
    }


def _pose_bundle(folder: Path) -> dict[str, Any]:
    manifest = read_pose_bundle(folder).manifest
    engines = [
        engine
        for name in manifest.networks
        for engine in _engines(folder / "engines", folder / "engines" / name, manifest.files)
    ]
    return {
        "kind": "pose bundle",
        "path": str(folder),
        **manifest.model_dump(mode="json", by_alias=True, exclude={"format"}),
        "engines": engines,
    }


def _engines(top: Path, folder: Path, files: Mapping[str, str]) -> list[dict[str, Any]]:
    """The engines in a folder, named as seen from `top`, and whether each is of a graph in the bundle."""
    engines: list[dict[str, Any]] = []
    for path in sorted(folder.glob("*.engine")):
        name = str(path.relative_to(top))
        try:
            header = read_engine(path)[0]
        except InputError as error:
            engines.append({"file": name, "unusable": error.message})
            continue
        engines.append(
            {**_engine(header, path), "file": name, "stale": header.key.graph not in files.values()}
        )
    return engines


def _engine(header: EngineHeader, path: Path) -> dict[str, Any]:
    return {"kind": "engine", "file": path.name, **header.model_dump(mode="json")}


def _onnx(path: Path) -> dict[str, Any]:
    import onnx

    try:
        model = onnx.load(path, load_external_data=False)
        onnx.checker.check_model(model)
    except Exception as error:  # noqa: BLE001  protobuf and the checker raise classes of their own for each damage
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"{path} is not a bundle, an engine or an ONNX file: {reason}") from None
    operators = Counter(node.op_type for node in model.graph.node)
    types = Counter(
        onnx.TensorProto.DataType.Name(tensor.data_type).lower() for tensor in model.graph.initializer
    )
    return {
        "kind": "onnx",
        "path": str(path),
        "sha256": sha256(path),
        "bytes": path.stat().st_size,
        "opset": {entry.domain or "ai.onnx": entry.version for entry in model.opset_import},
        "nodes": len(model.graph.node),
        "operators": dict(operators.most_common()),
        "constants": dict(types.most_common()),
        "inputs": {value.name: _shape(value) for value in model.graph.input},
        "outputs": {value.name: _shape(value) for value in model.graph.output},
        "metadata": {entry.key: entry.value for entry in model.metadata_props},
    }


def _shape(value: Any) -> list[int | str]:
    return [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]


def _screen(facts: dict[str, Any]) -> list[str]:
    rows = {
        "bundle": _bundle_rows,
        "pose bundle": _pose_bundle_rows,
        "engine": _engine_rows,
        "onnx": _onnx_rows,
    }[facts["kind"]](facts)
    return [f"{name:<12}{value}" for name, value in rows]


def _alarm(facts: dict[str, Any], unit: str) -> str:
    alarm = AlarmCalibration.model_validate(facts)
    threshold = f"{alarm.threshold:.4f} {unit}"
    if alarm.provisional:
        return (
            f"{threshold}, PROVISIONAL: {alarm.why_provisional}; it promises no rate of false alarms, and "
            "'daflow-calibrate alarm' replaces it"
        )
    if alarm.quantile is not None:
        return f"{threshold}, the {alarm.quantile:g} quantile of {alarm.windows} windows"
    rate = f"{alarm.target_per_day or 0:g} false alarms per day, which the recordings support"
    return f"{threshold}, {alarm.method} of {alarm.hours:.3g} hours, {rate}"


def _bundle_rows(facts: dict[str, Any]) -> list[tuple[str, str]]:
    model, alarm, int8 = facts["model"], facts["alarm"], facts["int8"]
    trained = ", ".join(
        f"{name} {value}" for name, value in facts["training"].items() if not isinstance(value, dict)
    )
    evidence = facts["evidence"]
    unit = unit_of(evidence["channels"] if evidence else FLOW)
    rate = f"{facts['fps']:.3g} frames per second" if facts["fps"] else "any frame rate (not known)"
    rows = [
        ("bundle", f"{facts['path']}, schema {facts['schema']}, daflow {facts['daflow']}, {facts['created']}"),
        ("model", f"{model['block']}, {model['steps']} steps, {model['partition']} adjacency, {facts['parameters']} "
         f"parameters; windows of {facts['window']} poses at {rate}, {facts['joints']}"),
        ("trained on", trained or "unknown"),
        ("evidence", "flow" if evidence is None else f"{', '.join(evidence['channels'])}; surprise in bits, from "
         f"{evidence['windows']} normal windows"),
        *[(name, f"{file}, {facts['nodes'].get(name, '?')} nodes; {_verdict(facts['verification'].get(name))}")
          for name, file in facts["precisions"].items()],
    ]  # fmt: skip
    if int8:
        kept = ", ".join(int8["kept"]) or "none"
        rows.append(
            ("in INT8", f"{len(int8['quantised'])} operations, {int8['method']} ranges; in FP32: {kept}")
        )
    rows.append(("alarm", "not calibrated" if alarm is None else _alarm(alarm, unit)))
    rows += [(f"  {camera}", _alarm(own, unit)) for camera, own in facts["cameras"].items()]
    return rows + _engines_rows(facts)


def _engines_rows(facts: dict[str, Any]) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for engine in facts["engines"]:
        if "unusable" in engine:
            rows.append(("engine", f"{engine['file']}: {engine['unusable']}"))
        else:
            stale = "STALE, of another graph; " if engine["stale"] else ""
            rows.append(
                ("engine", f"{engine['file']}: {stale}{_target(engine)}; {_verdict(engine['verdict'])}")
            )
    if not facts["engines"]:
        rows.append(("engines", "none; each device builds its own at the first start"))
    return rows


def _pose_bundle_rows(facts: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [
        (
            "pose bundle",
            f"{facts['path']}, schema {facts['schema']}, daflow {facts['daflow']}, {facts['created']}",
        )
    ]
    for name, network in facts["networks"].items():
        size = f"{network['width']} x {network['height']}"
        if network["stride"]:
            size += f" or smaller in steps of {network['stride']}"
        sees = f"{network['joints']} joints" if network["joints"] else "boxes"
        licence = network["licence"] or "not stated"
        origin = f"{network['source']['file']} ({network['layout']})"
        rows.append((name, f"{origin}, {size}, {sees}; licence: {licence}"))
        rows += [
            (f"  {precision}", f"{file}, {network['nodes'].get(precision, '?')} nodes; "
             f"{_pose_verdict(network['verification'].get(precision))}")
            for precision, file in network["precisions"].items()
        ]  # fmt: skip
        if network["int8"]:
            rows.append(
                ("  in INT8", f"{len(network['int8']['quantised'])} operations, {network['int8']['method']} ranges of "
                 f"{network['int8']['pictures']} pictures; {len(network['int8']['kept'])} in FP32")
            )  # fmt: skip
    rows.append(("verified on", facts["verified_on"]))
    return rows + _engines_rows(facts)


def _pose_verdict(content: dict[str, Any] | None) -> str:
    if content is None:
        return "not verified"
    verdict = PoseVerdict.model_validate(content)
    if verdict.missed:
        return f"MISSES ITS LIMITS: {'; '.join(verdict.missed)}"
    return f"verified on {verdict.comparison.summary}"


def _engine_rows(facts: dict[str, Any]) -> list[tuple[str, str]]:
    key, options = facts["key"], facts["key"]["options"]
    return [
        ("engine", f"{facts['file']}, {facts['size'] / 2**20:.1f} MiB, {facts['created']}"),
        ("for", _target(facts)),
        ("from", f"the {key['precision']} graph of SHA-256 {key['graph']}"),
        ("built with", f"batch {','.join(map(str, options['batch']))}, workspace {options['workspace']} MiB; "
         f"{facts['seconds']:.1f} s"),
        ("verified", _verdict(facts["verdict"])),
    ]  # fmt: skip


def _onnx_rows(facts: dict[str, Any]) -> list[tuple[str, str]]:
    def listed(counts: dict[str, Any]) -> str:
        return ", ".join(f"{name} {value}" for name, value in counts.items())

    return [
        ("onnx", f"{facts['path']}, {facts['bytes'] / 1024:.0f} KiB, opset {listed(facts['opset'])}"),
        ("sha256", facts["sha256"]),
        ("maps", f"{listed(facts['inputs'])} to {listed(facts['outputs'])}"),
        ("nodes", f"{facts['nodes']}: {listed(facts['operators'])}"),
        ("constants", listed(facts["constants"]) or "none"),
        (
            "says",
            listed({_shown(name): _shown(value) for name, value in facts["metadata"].items()}) or "nothing",
        ),
    ]


def _shown(text: str) -> str:
    return shortened(one_line(text), 200)


def _target(engine: dict[str, Any]) -> str:
    key = engine["key"]
    return f"{key['target']} ({key['device'] or 'every GPU of it'}), {key['flavour']} {key['version']}"


def _verdict(content: dict[str, Any] | None) -> str:
    if content is None:
        return "not run yet, so not verified"
    verdict = Verdict.model_validate(content)
    compared = verdict.comparison
    if verdict.missed:
        return f"MISSES ITS LIMITS: {'; '.join(verdict.missed)}"
    auc = "" if compared.auc_delta is None else f", dAUC {compared.auc_delta:+.4f} points"
    return (
        f"verified on {compared.windows} windows: Spearman {compared.spearman:.6f}, "
        f"tail {compared.tail_spearman:.6f}{auc}"
    )
