"""What the kernel says of memory: control groups, /proc, pressure; and what it has killed."""
