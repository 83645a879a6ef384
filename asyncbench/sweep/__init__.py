"""The sweep as it is asked for: axes, cells, and the configuration that names them. Pure: no files, no GPU."""
