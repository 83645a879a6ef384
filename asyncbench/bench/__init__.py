"""The bench process: opens an engine, measures the cells that the supervisor asks for, tells what it found."""
