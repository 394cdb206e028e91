"""Data preprocessors, built on those of the hosts.

Each is in a module of its own, which the registry imports when a config
names it.
"""
