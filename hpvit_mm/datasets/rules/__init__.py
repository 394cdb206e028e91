"""Rules about data sets, for the checks before a run and ``prepare_data``.

``layouts`` has the folder structures, ``coco``, ``label_maps``, ``folders``
and ``images`` the rules for the files. What breaks one is a
:class:`~.problems.Problem`: the checks raise the first of a data set, and
``prepare_data`` reports all of them.
"""
