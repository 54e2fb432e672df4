#!/usr/bin/env python3
# xengpu-bench tells who has how much of a device: an honest guest beside one that floods it with commands.
# limit: 90
import json
import os
import sys

sys.path.insert(0, os.path.join(os.environ.get('XG_ROOT', '.'), 'tests/lib'))
import e2e

CASE = 'beside empty commands of OpenGL'

with e2e.Bed() as bed:
    if not os.path.exists(f'{bed.plain}/tests/kernels/busy.ptx'):
        e2e.skip('no kernels')
    out = os.path.join(bed.tmp, 'out')
    r = bed.run([f'{bed.plain}/bin/xengpu-bench', '--json', '--output', out, '--share-seconds', '1', '--only', CASE, 'fairness'], timeout=80)
    try:
        rows = json.loads(r.stdout)['fairness']
    except ValueError:
        e2e.fail(f'status {r.returncode}: {r.stderr}')
    print(r.stderr)
    if [row['name'] for row in rows] != [CASE, f'two {CASE}']:
        e2e.fail(f'other cases: {rows}')
    for row in rows:
        # How fair it is other tests say; here: that it was measured.
        if 'error_text' in row or len(row['share']) != row['guests'] or not 0.5 < sum(row['share']) < 1.05 or not min(row['work']) > 0.01:
            e2e.fail(f'{row}')
    r = bed.run([f'{bed.plain}/bin/xengpu-bench', 'unfairness'])
    if r.returncode != 2 or 'fairness' not in r.stderr:
        e2e.fail(f'an unknown suite: {r}')
