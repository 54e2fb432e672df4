#!/usr/bin/env python3
# A daemon that is root in a user namespace with one user only, as in a container without privileges: guests run all the same.
import os
import sys

sys.path.insert(0, os.path.join(os.environ.get('XG_ROOT', '.'), 'tests/lib'))
import e2e

ONE_USER = ['bwrap', '--unshare-user', '--uid', '0', '--gid', '0', '--die-with-parent', '--dev-bind', '/', '/']

if sys.argv[1:] == ['inside']:
    with e2e.Bed(tmp=os.environ['TMPDIR']) as bed:
        bed.daemon()
        r = bed.guest('one', [f'{bed.plain}/tests/programs/cuda_query'], timeout=20)
        if r.returncode:
            e2e.fail(f'a guest: status {r.returncode}: {r.stderr}\n{bed.log_text()}')
        if 'has no free user numbers' not in bed.log_text():
            e2e.fail(f'the daemon does not say who its workers are: {bed.log_text()}')
    sys.exit(0)

with e2e.Bed() as bed:
    r = bed.run([*ONE_USER, 'true'])
    if r.returncode:
        e2e.skip(f'bubblewrap makes no user namespaces here: {r.stderr.strip()}')
    r = bed.run([*ONE_USER, sys.executable, __file__, 'inside'])
    if r.returncode:
        e2e.fail(f'status {r.returncode}: {r.stderr}')
