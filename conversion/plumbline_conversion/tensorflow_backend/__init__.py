"""All that imports TensorFlow: the NHWC translator and the TFLite converter. Import it only when they are needed."""
