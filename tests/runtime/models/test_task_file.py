from __future__ import annotations

import io
import zipfile

import pytest

from runtime.models import task_file


def test_the_zip_is_uncompressed_aligned_and_always_the_same() -> None:
    entries = {"a.tflite": b"x" * 101, "another.tflite": b"y" * 7}
    content = task_file._zipped(entries)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == entries
        assert all(entry.compress_type == zipfile.ZIP_STORED for entry in archive.infolist())
    assert content.index(b"x" * 101) % 64 == content.index(b"y" * 7) % 64 == 0
    assert content == task_file._zipped(entries)


def test_metadata_are_added_and_the_network_stays() -> None:
    flatbuffers = pytest.importorskip("flatbuffers")
    schema = pytest.importorskip("mediapipe.tasks.metadata.schema_py_generated")
    metadata_schema = pytest.importorskip("mediapipe.tasks.metadata.metadata_schema_py_generated")

    subgraph, entry, model = schema.SubGraphT(), schema.MetadataT(), schema.ModelT()
    buffers = [schema.BufferT() for _ in range(3)]
    buffers[2].data = [1, 2, 3, 4]
    subgraph.name, entry.name, entry.buffer = "graph", "kept", 2
    model.version, model.description = 3, "a network"
    model.subgraphs, model.buffers, model.metadata = [subgraph], buffers, [entry]
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    network = bytes(builder.Output())

    written = task_file._with_metadata(network, task_file._SCALING_OF_LANDMARKS)
    assert written[4:8] == b"TFL3"
    assert written.endswith(network)
    after = schema.ModelT.InitFromObj(schema.Model.GetRootAs(written, 0))
    assert (after.version, after.description) == (3, b"a network")
    assert after.subgraphs[0].name == b"graph"
    assert [(entry.name, entry.buffer) for entry in after.metadata] == [
        (b"kept", 2),
        (b"TFLITE_METADATA", 3),
    ]
    assert bytes(after.buffers[2].data) == b"\1\2\3\4"

    content = bytes(after.buffers[3].data)
    assert content[4:8] == b"M001"
    root = metadata_schema.ModelMetadata.GetRootAs(content, 0)
    metadata = metadata_schema.ModelMetadataT.InitFromObj(root)
    assert metadata.minParserVersion == b"1.0.0"
    (image,) = metadata.subgraphMetadata[0].inputTensorMetadata
    assert image.content.contentProperties.colorSpace == metadata_schema.ColorSpaceType.RGB
    (unit,) = image.processUnits
    assert unit.optionsType == metadata_schema.ProcessUnitOptions.NormalizationOptions
    assert (list(unit.options.mean), list(unit.options.std)) == ([0.0], [255.0])
