"""What runs the networks of the edge, scorer, person detector and landmarks alike.

- `runner`: the protocol `NetworkRunner`; batches go through it in calls of a few fixed sizes.
- `shared`: one runner for several cameras, whose batches it joins.
- `tensorrt`: TensorRT engines on the GPU, over `cuda`. ONNX Runtime's runner is `daflow.core.engines.onnxruntime`.
"""
