"""One cell: admission, lanes, warm-up, window, drain, record."""
