"""What remoting costs: calls, launches, copies by size, kernels; each figure paired, directly and as a guest."""
import os
import sys

import e2e
from pair import tell_row
from report import NOTE

sys.path.insert(0, os.path.join(e2e.ROOT, 'bench'))
import xengpu_bench  # noqa: E402

LIMIT = 80
QUICK = 20


def run(bed, report, quick):
    # Each pair is two runs, which take a little more than their budget: a device must be opened.
    pairs, seconds = (1, QUICK - 14) if quick else (3, min(bed.left(), LIMIT) - 14)
    budget = max(1.0, 0.8 * seconds / pairs / 2)
    bed.daemon()
    bench = xengpu_bench.Bench(bed, pairs, 1, budget)
    bench.say = report.log
    report.result('load', NOTE, f'{os.getloadavg()[0]:.1f} on {os.cpu_count()} processors; beside other work a call that waits costs a sleep and its end')
    for suite in (bench.calls, bench.cuda):
        before = set(bench.rows)
        suite()
        for key in (k for k in bench.rows if k not in before):
            tell_row(report, bench.rows[key])
