"""From a trained ONNX pose net to TFLite bundles, with proof at each step that it is still the same model."""
