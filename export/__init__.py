"""From a checkpoint to ONNX to a verified bundle with TensorRT engines."""
