"""Who does the work of a sweep: the supervisor, the bench process, the workers of a cell."""
