"""Rules of memory: what is needed, what may be taken, what fits. No files, no GPU; readings come as arguments."""
