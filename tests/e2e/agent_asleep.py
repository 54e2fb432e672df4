#!/usr/bin/env python3
# An agent that gets no processor for a while keeps its connection, however often its guest is changed meanwhile; afterwards it knows how things are.
# limit: 60
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.environ.get('XG_ROOT', '.'), 'tests/lib'))
import e2e
import raw

CHANGES = 150  # each tells of all that is in the guest's directory


def below(pid):
    """The processes that this one has started, and theirs."""
    with open(f'/proc/{pid}/task/{pid}/children') as f:
        for child in map(int, f.read().split()):
            yield child
            yield from below(child)


def agent_of(bed):
    for pid in below(bed.daemon_process.pid):
        with open(f'/proc/{pid}/cmdline') as f:
            if 'agent' in f.read():
                return pid
    e2e.fail('the guest has no agent')


def change(bed, memory):
    r = bed.xengpu('set', 'web', f'memory={memory}M', '--socket-dir', bed.sockets, timeout=20)
    if r.returncode:
        e2e.fail(f'xengpu set: {r.stderr}')


with e2e.Bed() as bed:
    bed.daemon()
    bed.xengpu('attach', 'web', '--socket-dir', bed.sockets, timeout=40)
    raw.App(f'{bed.sockets}/web/agent.sock').close()
    agent = agent_of(bed)
    os.kill(agent, signal.SIGSTOP)
    try:
        for i in range(CHANGES):
            change(bed, 300 + i)
    finally:
        os.kill(agent, signal.SIGCONT)
    for memory in 700, 800:  # what it is told later gets there too
        app = raw.App(f'{bed.sockets}/web/agent.sock')
        if app.status:
            e2e.fail(f'refused: {app.text}\n{bed.log_text()}')
        app.close()
        change(bed, memory)
    if agent_of(bed) != agent or 'the daemon is gone' in bed.log_text():
        e2e.fail(f'the agent was cut off:\n{bed.log_text()[-2000:]}')
