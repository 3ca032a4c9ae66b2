"""What every test module shares."""

import signal

from hypothesis import settings

# A shell starts what it puts into the background deaf to Ctrl-C, and children inherit that: the tests send SIGINT.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples everywhere and always: a test that fails has found something.
settings.register_profile("fixed", derandomize=True, deadline=None, database=None)
settings.load_profile("fixed")
