"""What `gradstat propagate` keeps and shows."""
