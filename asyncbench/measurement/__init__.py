"""Statistics of the stamps of a cell: histogram, percentiles with intervals, stop rule, Little's law, verdict. Pure."""
