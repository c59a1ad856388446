"""The arithmetic array: packed DSP lanes, LUT lanes, accumulators."""
