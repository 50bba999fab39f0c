"""The person's sets on this device: keypoints, repetitions, faults and sitting by the minute; never a picture."""
