"""Gates: limits on a report, what they say of it, and the baselines they compare with."""
