#!/usr/bin/env python3
"""What CUDA's documentation says, row by row (tests/programs/cuda_table_*.c), and which rows of ours are wrong and may be.

cuda_table.py NAME=FILE...      looks at outputs of these programs, NAME softcuda or guest: a line for each row that is wrong without a reason, and
                                for each reason that no row needs; the status is 0 if there is none. A row of several outputs of one side is
                                wrong if it is in one.

cuda_table.differ has what is wrong and known, in the form of cuda_codes.differ.
"""
import os
import sys

import cuda_codes

DIFFER = os.path.join(cuda_codes.HERE, 'cuda_table.differ')
FAMILIES = ('device', 'context', 'memory', 'stream', 'module', 'graph', 'pool')


def rows(text):
    """{row: 'ok', or what is wrong}"""
    return {row: answer for row, arrow, answer in (line.partition(' => ') for line in text.splitlines()) if arrow}


def whole(text):
    """The program came to its end, and tells as many rows as it counted."""
    lines = text.splitlines()
    return bool(lines) and lines[-1].split()[1:2] == ['rows,'] and int(lines[-1].split()[0]) == len(rows(text))


def wrong(side, answers, reasons):
    """[(row, answer, reason or None)]"""
    return [(row, answer, reasons.find(side, row)) for row, answer in answers.items() if answer != 'ok']


def main():
    reasons, answers = cuda_codes.Reasons(DIFFER), {}
    for word in sys.argv[1:]:
        side, _, path = word.partition('=')
        if side not in cuda_codes.SIDES:
            raise SystemExit(__doc__)
        of = answers.setdefault(side, {})
        with open(path) as f:
            of.update((row, answer) for row, answer in rows(f.read()).items() if answer != 'ok' or row not in of)
    bad = [f'{side}: {row}: {answer}' for side, of in answers.items() for row, answer, reason in wrong(side, of, reasons) if not reason]
    everything = {row: 'ok' for of in answers.values() for row in of}
    bad += [f'{os.path.basename(DIFFER)}: {u}: no such row is wrong' for u in reasons.unused(everything, answers)]
    print(*bad, sep='\n', end='\n' if bad else '')
    return 1 if bad or not answers else 0


if __name__ == '__main__':
    sys.exit(main())
