"""The pictures: one module per kind. Only these modules import matplotlib."""
