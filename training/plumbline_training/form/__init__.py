"""The judge of form: its network, what it learns from, its training and its evaluation (docs/judge.md)."""
