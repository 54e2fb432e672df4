#!/usr/bin/env python3
"""What a driver answers to the calls of tests/programs/cuda_codes, and what ours answer otherwise.

cuda_codes.py NAME=FILE...      compares outputs of cuda_codes, NAME softcuda or guest, with the driver's: a line for each call that is answered
                                otherwise without a reason; the status is 0 if there is none, and each reason is needed

cuda_codes.driver is the program's output on a driver, as it printed it, behind lines of "#" that say which.
cuda_codes.differ has what is answered otherwise on purpose: a line "softcuda guest: REASON" (or only one of them), and below it, indented, the calls,
in which * stands for anything. "gpu" in such a line: only a guest on a real driver does.
"""
import collections
import fnmatch
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
DRIVER, DIFFER = os.path.join(HERE, 'cuda_codes.driver'), os.path.join(HERE, 'cuda_codes.differ')
SIDES = ('softcuda', 'guest')

WHEN = re.compile('^(before cuInit|no context|capturing|captured): ')
# What is answered to everything that is not supported, but before cuInit, or without the objects that such a function takes.
UNSUPPORTED = {'CUDA_ERROR_NOT_SUPPORTED', 'CUDA_ERROR_NOT_INITIALIZED', 'not made, there is no such object'}


def table(text):
    """{call: answer}"""
    rows = (line.rpartition('): ') for line in text.splitlines())
    return {call + ')': answer for call, colon, answer in rows if colon}


def function(call):
    return WHEN.sub('', call).partition('(')[0]


def unsupported(answers):
    """The functions that answer nothing else, whatever they are asked."""
    said = collections.defaultdict(set)
    for call, answer in answers.items():
        if not call.startswith('captured: '):
            said[function(call)].add(answer)
    return {f for f, s in said.items() if s <= UNSUPPORTED and 'CUDA_ERROR_NOT_SUPPORTED' in s}


def ends(answer):
    """The call ended the program, or the worker behind it."""
    return answer.startswith(('crashed', 'hung')) or answer == 'CUDA_ERROR_DEVICE_UNAVAILABLE'


def made(answer):
    return not answer.startswith('not made')


def driver():
    """{call: answer} as it is kept here, and the line that says of which driver."""
    with open(DRIVER) as f:
        text = f.read()
    return table(text), text.partition('\n')[0].lstrip('# ')


class Reasons:
    """Why calls are answered otherwise: by the driver, or, of another file than DIFFER, by what it is about."""

    def __init__(self, path=DIFFER):
        self.patterns = []  # (side, pattern, reason, only with a GPU)
        self.used = set()
        with open(path) as f:
            for line in f:
                if line.startswith(' '):
                    self.patterns += [(side, line.strip(), reason, 'gpu' in words) for side in SIDES if side in words]
                elif line.strip() and not line.startswith('#'):
                    words, _, reason = line.strip().partition(': ')
                    words = words.split()
                    if not reason or not set(words) <= {*SIDES, 'gpu'}:
                        raise SystemExit(f'{path}: neither sides and a reason nor an indented call: {line.strip()}')

    def find(self, side, call):
        """None: there is none."""
        for side_of, pattern, reason, _ in self.patterns:
            if side_of == side and fnmatch.fnmatchcase(call, pattern):
                self.used.add((side, pattern))
                return reason
        return None

    def unused(self, theirs, answers):
        """Patterns of calls that none of `answers`, {side: table}, has otherwise than `theirs`, though some could be."""
        for side, pattern, _, gpu in self.patterns:
            if side not in answers or gpu or (side, pattern) in self.used:
                continue
            calls = fnmatch.filter(theirs, pattern)
            if not calls or any(comparable(theirs[c], answers[side].get(c, 'not made')) for c in calls):
                yield f'{side}: {pattern}'


Difference = collections.namedtuple('Difference', 'call theirs side ours reason')


def comparable(theirs, ours):
    """What is not there has no code to be right; nor is a driver's crash anything to be like."""
    return made(theirs) and not ends(theirs) and made(ours) and ours != 'CUDA_ERROR_NOT_SUPPORTED'


def differences(theirs, answers, reasons):
    """Each call that one of `answers`, {side: table}, has otherwise than `theirs`."""
    found = []
    for side, ours in answers.items():
        none = unsupported(ours)
        for call, answer in theirs.items():
            got = ours.get(call, 'not made')
            if got != answer and comparable(answer, got) and function(call) not in none:
                found.append(Difference(call, answer, side, got, reasons.find(side, call)))
    return found


def main():
    theirs, _ = driver()
    reasons, answers = Reasons(), {}
    for word in sys.argv[1:]:
        side, _, path = word.partition('=')
        if side not in SIDES:
            raise SystemExit(__doc__)
        with open(path) as f:
            answers[side] = table(f.read())
    wrong = [d for d in differences(theirs, answers, reasons) if not d.reason]
    for d in wrong:
        print(f'{d.call}: the driver {d.theirs}, {d.side} {d.ours}')
    unused = list(reasons.unused(theirs, answers))
    for u in unused:
        print(f'{os.path.basename(DIFFER)}: {u}: no such call is answered otherwise')
    return 1 if wrong or unused or not answers else 0


if __name__ == '__main__':
    sys.exit(main())
