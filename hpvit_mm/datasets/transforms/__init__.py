"""Transforms of the hosts, with their results in less time.

Each derives from a type of mmpretrain (``cls``), mmdet (``det``) or mmseg
(``seg``), draws the same random numbers in the same order, and gives the same
pixels, bit for bit. The registry imports the module of a type when a config
names it.
"""
