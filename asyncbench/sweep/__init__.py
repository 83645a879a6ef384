"""What is to be measured: axes, cells, the grid, and the configuration that names them. Pure: no files, no GPU."""
