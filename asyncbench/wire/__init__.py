"""Messages between the supervisor and a bench process, and the pipe that they go through."""
