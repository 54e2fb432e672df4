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


def agent_of(bed):
    agents = [pid for pid, name in e2e.children(bed.daemon_process.pid) if name == 'xengpu-agent']
    return agents[0] if agents else e2e.fail('the guest has no agent')


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
