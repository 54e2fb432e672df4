#!/usr/bin/env python3
# An application gets its channel also where it asks while the agent itself asks the store: when its guest has just become ready, and while the
# operator changes it. The daemon's answer to the application comes in between then.
# limit: 90
import errno
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.environ.get('XG_ROOT', '.'), 'tests/lib'))
import e2e
import raw

SECONDS = 6



def tool(bed, *args):
    return bed.xengpu(*args, '--socket-dir', bed.sockets, timeout=40).returncode == 0


def opens(bed, name):
    app = raw.App(f'{bed.sockets}/{name}/agent.sock', timeout=5)
    while app.status == -errno.EBUSY:  # as many as there may be are still being closed
        app.close()
        time.sleep(0.05)
        app = raw.App(f'{bed.sockets}/{name}/agent.sock', timeout=5)
    if app.status:
        e2e.fail(f'{name} is refused: {app.text}')
    app.close()


with e2e.Bed() as bed:
    bed.daemon()
    until, ready = time.monotonic() + SECONDS, 0
    while time.monotonic() < until:
        names = [f'g{ready + i}' for i in range(4)]
        for name in names:
            tool(bed, 'attach', name) or e2e.fail(f'{name} is not attached: {bed.log_text()}')
            opens(bed, name)
        for name in names:
            tool(bed, 'detach', name)
        ready += len(names)

    tool(bed, 'attach', 'web')
    until, changes, opened = time.monotonic() + SECONDS, [0], 0

    def change():
        while time.monotonic() < until:
            changes[0] += tool(bed, 'set', 'web', f'memory={1 + changes[0] % 7}G')

    operator = threading.Thread(target=change)
    operator.start()
    try:
        while time.monotonic() < until:
            opens(bed, 'web')
            opened += 1
    finally:
        operator.join()
    print(f'{ready} guests; {opened} channels of one, {changes[0]} changes')
    if not opened or not changes[0]:
        e2e.fail('nothing was tried')
