"""Prints the percentile distribution of every histogram of a series in an interval log, in microseconds.

Counting, values and layout are those of Python's hdrh. Its steps are not the original's, which takes whole
halvings of the distance to 100%, so this takes them from there.
"""

import math
import sys

from hdrh.histogram import HdrHistogram
from hdrh.iterators import PercentileIterator
from hdrh.log import HistogramLogReader


def step(self):
    level = self.percentile_to_iterate_to
    self.percentile_to_iterate_from = level
    gap = 100.0 - level
    if gap:
        halvings = math.floor(math.log(100.0 / gap) / math.log(2)) + 1
        self.percentile_to_iterate_to += 100.0 / (self.percentile_ticks_per_half_distance * 2**halvings)


PercentileIterator.increment_iteration_level = step

path, series = sys.argv[1:]
whole = HdrHistogram(1, 100_000_000_000, 3)
reader = HistogramLogReader(path, HdrHistogram(1, 100_000_000_000, 3))
while (interval := reader.get_next_interval_histogram()) is not None:
    if interval.get_tag() == series:
        whole.add(interval)
whole.output_percentile_distribution(sys.stdout.buffer, 1000.0, 5)
