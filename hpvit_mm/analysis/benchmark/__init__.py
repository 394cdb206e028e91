"""HPViT and the parts around it against the hosts' own, side by side.

Ratios of one run count, absolute times do not: variants are timed in turn, in
another order in each round. On the CPU that is the processor time of one
thread, which other work on the machine disturbs little; on a GPU it is the
time between two events. Nothing is timed before the variants have given the
same results.

Each suite is a module with a function ``run(options)`` that prints its tables
and returns their rows.
"""
from .timing import Options
from .suites import SUITES, run

__all__ = ['SUITES', 'Options', 'run']
