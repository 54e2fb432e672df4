"""What CUDA's documentation says of the driver API, row by row, on the driver, as a guest and on softcuda."""
import collections
import concurrent.futures

import cuda_codes
import cuda_table
from report import FAILED, NOTE, OK

LIMIT = 60
QUICK = 25


def take(bed, way, family, seconds):
    command = [bed.program(f'cuda_table_{family}')]
    if way == 'driver':
        return bed.direct(command, timeout=seconds)
    if way == 'guest':
        return bed.guest('tables', command, timeout=seconds)
    return bed.run(command, {'LD_LIBRARY_PATH': f'{bed.build}/lib/softcuda:{bed.build}/lib'}, seconds)


def judge(report, way, family, run, reasons):
    """One result for a family, and one for each row that is wrong without a reason."""
    if not cuda_table.whole(run.stdout):
        report.result(f'{family}, {way}', FAILED, f'status {run.returncode}: {(run.stderr or run.stdout).strip()[-200:] or "says nothing"}')
        return
    answers = cuda_table.rows(run.stdout)
    meant, bad = collections.Counter(), 0
    for row, answer, reason in cuda_table.wrong(way, answers, reasons):
        if reason:
            meant[reason] += 1
        else:
            bad += 1
            report.result(f'{way}: {row}', FAILED, answer)
    report.result(f'{family}, {way}', FAILED if bad else OK, f'{len(answers)} rows, {bad} wrong')
    for reason, n in meant.items():
        report.result(f'{family}, {way} otherwise', NOTE, f'{n} rows: {reason}')


def run(bed, report, quick):
    bed.daemon()
    reasons = cuda_codes.Reasons(cuda_table.DIFFER)
    seconds = max(1, min(bed.left(), QUICK if quick else LIMIT) - 5)
    ways = ('softcuda', 'guest', *(['driver'] if bed.gpu else []))
    for way in ways:  # one after the other: they look at the memory that is left
        with concurrent.futures.ThreadPoolExecutor(2 if way == 'softcuda' else 1) as pool:
            runs = {family: pool.submit(take, bed, way, family, seconds) for family in cuda_table.FAMILIES}
        for family, future in runs.items():
            r = future.result()
            report.log(f'{family}, {way}: status {r.returncode}\n' + '\n'.join(
                line for line in r.stdout.splitlines() if not line.endswith(' => ok')) + r.stderr[-2000:])
            judge(report, way, family, r, reasons)
