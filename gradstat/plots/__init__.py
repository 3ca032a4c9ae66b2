"""One module per kind of picture; only these import matplotlib."""
