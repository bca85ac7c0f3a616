"""What Afterglow costs, measured against a baseline of the same run: `python -m benchmarks [names...]`.

Each benchmark is one file with one `run`. It runs in a process of its own, on an embedded database of its own
in a temporary folder. A figure that matters is a ratio: ours and the baseline take turns (A B A B), and what
is reported is the median of the ratios of neighbours, with the smallest and the largest beside it. What must
hold at any speed (nothing lost, every count exact) is proved beside it. Needs Linux or macOS.
"""
