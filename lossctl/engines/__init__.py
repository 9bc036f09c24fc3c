"""Who runs the work: an engine maps tasks to states and gives them back, and never sees a loss."""
