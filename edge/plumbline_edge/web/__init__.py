"""The page, its live picture and state, the metrics and the health probes."""
