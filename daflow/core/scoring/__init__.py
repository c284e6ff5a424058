"""The scorer protocol, the ONNX Runtime scorer, the comparison of two scorers, and the limits it must keep."""
