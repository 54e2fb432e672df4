# Nothing is notified that is not asleep: a stream of launches without a call that waits sends less than one event for a hundred commands,
# a call that waits at most one each way. By the daemon's counters, and by the kernels' own, which count what Xen delivered.
# limit: 150
import re

import host

LAUNCHES, CALLS = 20000, 200


def interrupts(text, who):
    """Events that a kernel took for ports of that process."""
    lines = [line.split() for line in text.splitlines() if re.search(rf'evtchn:{who}', line)]
    return sum(int(n) for words in lines for n in words[1:] if n.isdigit())


def counts(bed):
    with open('/proc/interrupts') as f:
        here = interrupts(f.read(), 'xengpu-')
    there = interrupts(bed.one.root(['cat', '/proc/interrupts']), 'xengpu-agent')
    channels = bed.daemon.channels('one')
    must(len(channels) == 1, f'one channel: {channels}')
    c = channels[0]['counters']
    return {'Dom0': here, 'guest': there, **{k: c[k] for k in ('notify_sent', 'notify_received', 'commands', 'calls')}}


def taken(bed):
    return bed.daemon.channels('one')[0]['counters']['commands']


def run(bed):
    bed.one.root('rm -f /tmp/stream.*')
    job = bed.remote(bed.one, 'cuda_stream', str(LAUNCHES), str(CALLS), '/tmp/stream')
    seen = []
    for stage, word in enumerate(('ready', 'launched', 'synchronized', 'called'), 1):
        job.expect(word, 60)
        if word == 'launched':  # the worker need not have come so far
            host.wait_for(lambda: taken(bed) - seen[0]['commands'] >= LAUNCHES * 9 // 10, 30,
                          lambda: f"{taken(bed) - seen[0]['commands']} commands were taken while {LAUNCHES} launches were sent")
        seen.append(counts(bed))
        bed.one.root(f'touch /tmp/stream.{stage}')
    must(job.wait(30).status == 0, job.out)

    def grown(a, b, key):
        return seen[b][key] - seen[a][key]

    commands = grown(0, 1, 'commands')
    for key in ('Dom0', 'guest', 'notify_sent', 'notify_received'):
        bed.note(f'{key}: {grown(0, 1, key)} for {commands} commands, {grown(2, 3, key)} for {grown(2, 3, "calls")} calls')
        must(grown(0, 1, key) * 100 < commands, f'{key}: {grown(0, 1, key)} events for {commands} commands')
        must(grown(2, 3, key) <= grown(2, 3, 'calls') + 2, f'{key}: {grown(2, 3, key)} events for {grown(2, 3, "calls")} calls')
    must(grown(2, 3, 'calls') >= CALLS, f'{grown(2, 3, "calls")} calls')
    must(seen[3]['Dom0'] > 0 and seen[3]['guest'] > 0, f'the kernels count events at all: {seen}')
