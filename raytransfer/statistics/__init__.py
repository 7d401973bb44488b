"""Statistics of recorded curves: selection, resampling, the answer; numbers in, numbers out."""
