"""Pose networks as bundles: from a MediaPipe task, a TF.js graph or an ONNX file to verified ONNX graphs."""
