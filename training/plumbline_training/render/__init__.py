"""The rendered gym: pictures and clips of people who exercise, keypoints known exactly. Needs the extra `render`."""
