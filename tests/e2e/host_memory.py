#!/usr/bin/env python3
# What a guest's workers take of this machine's memory is bounded where there are no control groups: the daemon looks at them. Who takes more loses
# its device and is told so; the others go on.
# limit: 120
import os
import sys

sys.path.insert(0, os.path.join(os.environ.get('XG_ROOT', '.'), 'tests/lib'))
import e2e
import host_memory

with e2e.Bed() as bed:
    config = os.path.join(bed.tmp, 'x.conf')
    host_memory.write(config, host_memory.CONFIG.format('no'))
    bed.daemon(['--test-mode', '--config', config])
    host_memory.expect("no control groups: 'cgroups = no' in [daemon]" in bed.log_text(), 'it does not say so', bed)
    host_memory.bounded(bed)
