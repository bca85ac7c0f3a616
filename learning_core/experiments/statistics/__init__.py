"""The statistics of experiments: numbers in, numbers out, whatever they are of."""
