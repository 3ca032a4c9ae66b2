"""Functions generated from expressions by `emit`, each named by the hash of its source.

numba's disk cache identifies a plain function by module and name. With a hash as name, the next process loads the
kernel of the same source and no other.
"""

from gradstat.numerics import elementary as el  # noqa: F401  (what the functions call)
