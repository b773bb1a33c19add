"""Control of copy: start, stop, limits, progress, workers in this process."""
