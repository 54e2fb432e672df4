#!/usr/bin/env python3
"""supervise.py LIMIT LOG RESULT -- COMMAND: runs one test, and leaves nothing of it behind.

The test gets a session of its own. This process is the subreaper, so whatever the test starts, however it detaches itself, stays
its descendant: what is still there when the test has ended is a leftover, is named in RESULT, and is killed.
RESULT is a line of JSON: {"status": exit status or -signal, "timeout": bool, "leftovers": [text], "seconds": s, "cpu": s}
"""
import ctypes
import json
import os
import signal
import subprocess
import sys
import time

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
ADDR_NO_RANDOMIZE = 0x0040000
GRACE = 1.5  # seconds that processes which are already ending are given
ASKED = 3    # ... and a test that is asked to end

libc = ctypes.CDLL(None, use_errno=True)


def descendants():
    """{pid: command line} of everything below this process; zombies do not count."""
    parent, text = {}, {}
    for entry in os.listdir('/proc'):
        if not entry.isdigit():
            continue
        try:
            with open(f'/proc/{entry}/stat', 'rb') as f:
                rest = f.read().rsplit(b')', 1)[1].split()
            if rest[0] in (b'Z', b'X'):
                continue
            parent[int(entry)] = int(rest[1])
            with open(f'/proc/{entry}/cmdline', 'rb') as f:
                text[int(entry)] = f.read().replace(b'\0', b' ').decode(errors='replace').strip()
        except OSError:
            continue
    mine, found = {os.getpid()}, {}
    grown = True
    while grown:
        grown = False
        for pid, above in parent.items():
            if above in mine and pid not in mine:
                mine.add(pid)
                found[pid] = text.get(pid) or '(no command line)'
                grown = True
    return found


def nothing_left():
    """Reaps, and says whether there are no descendants: orphans become children of this process, so no child means none at all.
    (The list that descendants() reads from /proc can miss one whose parent is just ending.)"""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
        return False
    except ChildProcessError:
        return True


def kill_all():
    """Kills until nothing is left: a process may fork while the list is read."""
    for _ in range(300):
        if nothing_left():
            return
        for pid in descendants():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.01)


def ask(child):
    """To end by itself: some of what it made only it removes, such as the socket of an X server."""
    try:
        os.killpg(child.pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    until = time.monotonic() + ASKED
    while child.poll() is None and time.monotonic() < until:
        time.sleep(0.02)


def prepare():
    os.setsid()
    for name in (signal.SIGINT, signal.SIGPIPE):
        signal.signal(name, signal.SIG_DFL)
    if os.environ.get('XG_NO_ASLR'):  # ThreadSanitizer's shadow needs a plain address space
        libc.personality(ADDR_NO_RANDOMIZE)


def main():
    limit, log, result, command = float(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[5:]
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)

    child = None

    def stop(*_):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if child:
            ask(child)
        kill_all()
        os._exit(143)
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    start = time.monotonic()
    timeout, leftovers = False, []
    with open(log, 'ab') as out:
        try:
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, preexec_fn=prepare)
        except OSError as e:
            out.write(f'cannot start {command[0]}: {e}\n'.encode())
    status = 127
    if child:
        try:
            status = child.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            timeout = True
            for pid, text in descendants().items():
                leftovers.append(f'{pid} {text}'[:200])
            ask(child)
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
            status = child.wait()
    seconds = time.monotonic() - start
    if not timeout:
        until = time.monotonic() + GRACE
        while not nothing_left() and time.monotonic() < until:
            time.sleep(0.02)
        leftovers = [f'{pid} {text}'[:200] for pid, text in descendants().items()]
    kill_all()
    times = os.times()
    with open(result, 'w') as f:
        json.dump({'status': status, 'timeout': timeout, 'leftovers': leftovers, 'seconds': round(seconds, 2),
                   'cpu': round(times.children_user + times.children_system, 2)}, f)


if __name__ == '__main__':
    main()
