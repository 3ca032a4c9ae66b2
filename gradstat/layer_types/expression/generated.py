"""Functions made from expressions, put here by `emit`, each named by the hash of its source.

numba's disk cache knows a plain function by module and name; so a name that is a hash finds its own kernel in the
next process, and never another's.
"""

from gradstat.numerics import elementary as el  # noqa: F401  (what the functions call)
