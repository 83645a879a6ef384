"""Memory as the kernel reports it: control groups, /proc, pressure, and what the kernel has killed."""
