"""What every test module shares."""

import os
import signal

# One thread of BLAS in each process of pytest-xdist: more of them wait for each other. Before NumPy is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from hypothesis import settings

# A shell starts what it puts into the background deaf to Ctrl-C, and children inherit that: the tests send SIGINT.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples everywhere and always: a test that fails has found something.
settings.register_profile("fixed", derandomize=True, deadline=None, database=None)
settings.load_profile("fixed")
