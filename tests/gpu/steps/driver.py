"""What the CUDA driver itself does where its documentation leaves it open (tests/programs/gpu_driver.c)."""
import report as outcomes

LIMIT = 90
QUICK = 60
EACH = 20  # seconds for one question; then it is ended and the next one goes on


def figures(fields):
    return {k: float(v) if '.' in v or 'e' in v or 'n' in v else int(v) for k, v in (f.split('=', 1) for f in fields)}


def run(bed, report, quick):
    program = bed.program('gpu_driver')
    for question in bed.direct([program, 'list']).stdout.split():
        r = bed.direct([program, question] + (['quick'] if quick else []), timeout=EACH)
        for line in r.stdout.splitlines():
            name, outcome, text, *rest = line.split('\t')
            report.result(f'{question}: {name}', outcome if outcome in outcomes.OUTCOMES else outcomes.FAILED, text, **figures(rest))
        if r.returncode:
            report.result(question, outcomes.FAILED, f'status {r.returncode}: {r.stderr.strip()[-300:]}')
        elif r.stderr:
            report.log(f'{question}: {r.stderr}')
