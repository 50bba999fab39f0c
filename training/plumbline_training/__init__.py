"""Trains HRNet keypoint models, evaluates them and exports them to ONNX."""
