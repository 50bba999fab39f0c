"""Ansible's linear strategy over Mitogen where that is installed: one Python stays on a machine for the whole run.

docs/adr/0006-mitogen.md says why, and how to go without.
"""

try:
    from ansible_mitogen.plugins.strategy.mitogen_linear import StrategyModule
except ImportError:
    from ansible.plugins.strategy.linear import StrategyModule

__all__ = ["StrategyModule"]
