"""What the stamps of a cell mean: histogram, percentiles with intervals, stop rule, Little's law, verdict. Pure."""
