"""Plumbline on the device: camera, tracked crop, LiteRT, keypoints, coach, page and metrics in one process."""
