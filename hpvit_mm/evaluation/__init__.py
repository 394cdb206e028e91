"""Metrics.

Each builds on one of a host's, and so is in a module of its own, which the
registry imports when a config names it.
"""
