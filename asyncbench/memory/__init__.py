"""Rules of memory: what is needed, what may be taken, who waits. No files, no GPU; readings come as arguments."""
