"""What a bundle must show before a channel gives it: AP, parity, latency, lineage."""
