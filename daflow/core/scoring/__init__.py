"""The scorer protocol, the ONNX Runtime scorer, and the comparison of two scorers."""
