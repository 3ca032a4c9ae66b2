"""What every test module shares."""

from hypothesis import settings

# The same examples everywhere and always: a test that fails has found something.
settings.register_profile("fixed", derandomize=True, deadline=None, database=None)
settings.load_profile("fixed")
