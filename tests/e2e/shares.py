#!/usr/bin/env python3
"""What tests and the demo say of two guests' shares (tests/lib/shares.py), for clocks that are given: fair, unfair, or not clear yet."""
import os
import sys

sys.path.insert(0, os.path.join(os.environ.get('XG_ROOT', '.'), 'tests/lib'))
import shares

# seconds; used, wanted and not had, turns of each; what other processes used; weights; the verdict
CASES = [
    ('equal, idle machine', 10, (5.0, 5.0), (5.0, 5.0), (50, 50), 0, (1, 1), shares.FAIR),
    ('5 % are allowed', 10, (5.2, 4.8), (4.8, 5.2), (5000, 5000), 0, (1, 1), shares.FAIR),
    ('11 %, idle machine, short turns', 10, (5.55, 4.45), (4.45, 5.55), (2000, 2000), 0, (1, 1), shares.UNFAIR),
    ('11 %, idle machine; one was lazy, which explains nothing', 10, (5.55, 4.45), (4.45, 4.55), (2000, 2000), 0, (1, 1), shares.UNFAIR),
    ('11 %, busy machine; the short one had nothing to do for 1 s', 10, (5.55, 4.45), (4.45, 4.55), (2000, 2000), 1.5, (1, 1), shares.UNCLEAR),
    ('11 %, busy machine; only the other had nothing to do', 10, (5.55, 4.45), (3.45, 5.55), (2000, 2000), 1.5, (1, 1), shares.UNFAIR),
    ('11 %, busy machine; both always had work', 10, (5.55, 4.45), (4.45, 5.55), (2000, 2000), 1.5, (1, 1), shares.UNFAIR),
    ('turns of 0.4 s', 10, (5.3, 4.7), (4.7, 5.3), (13, 12), 0, (1, 1), shares.UNCLEAR),
    ('turns of 0.4 s, long enough', 40, (22.5, 17.0), (17, 22.5), (52, 47), 0, (1, 1), shares.UNFAIR),
    ('weights', 10, (2.55, 7.45), (7.4, 2.5), (900, 900), 0, (100, 300), shares.FAIR),
    ('weights; equal is unfair', 10, (5.0, 5.0), (5.0, 5.0), (900, 900), 0, (100, 300), shares.UNFAIR),
    ('weights; the small share is what must be right', 10, (2.75, 7.25), (7.2, 2.7), (900, 900), 0, (100, 300), shares.UNFAIR),
]


def look(time, clocks, cpu):
    names = ('a', 'b')
    guests = [{'name': n, 'device_time_ns': int(u * 1e9), 'wait_time_ns': int(w * 1e9), 'grants': t} for n, (u, w, t) in zip(names, clocks)]
    x = shares.Look({'time_ns': int(time * 1e9), 'guests': guests}, names)
    x.wall, x.cpu = time, cpu
    return x


bad = 0
for what, seconds, used, waited, turns, foreign, weights, expected in CASES:
    span = shares.Span(look(100, [(7, 3, 11)] * 2, (50, 20)),
                       look(100 + seconds, [(7 + u, 3 + w, 11 + t) for u, w, t in zip(used, waited, turns)],
                            (50 + (1 + foreign) * seconds, 20 + seconds)))
    verdict, why = span.judge(dict(zip('ab', weights)), 0.05)
    if verdict != expected or bool(why) == (verdict == shares.FAIR):
        print(f'{what}: {verdict} ({why}), should be {expected}')
        bad = 1
sys.exit(bad)
