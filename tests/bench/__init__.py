"""`make bench`: gradstat's speed as ratios against others, measured in turn in one run, and how its cost grows."""
