"""Whether guests got the shares of a device that their weights promise them, by the scheduler's own clocks; for tests and the demo.

A guest is entitled to its share of the time in which it wants the device. Its program wants nothing while it waits for a processor,
so on a machine that is busy with other things a difference may be nobody's fault: then the time in which a guest wanted nothing
explains as much of it as it lasted. On an idle machine it explains nothing. A look may also fall anywhere into a guest's turn on the
device: a difference as long as a turn of each is not clear before the span is long enough.
"""
import os
import time

FOREIGN = 0.1   # processors; a machine on which other processes use more than that is busy
FAIR, UNFAIR, UNCLEAR = 'fair', 'unfair', 'unclear'


def cpu_seconds():
    """(of the whole machine, stolen included; of this process and its descendants that are alive)"""
    tick = os.sysconf('SC_CLK_TCK')
    with open('/proc/stat') as f:
        user, nice, system, _, _, irq, softirq, steal = map(int, f.readline().split()[1:9])
    parent, own = {}, {}
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{pid}/stat') as f:
                field = f.read().rpartition(')')[2].split()
        except OSError:
            continue
        parent[int(pid)], own[int(pid)] = int(field[1]), int(field[11]) + int(field[12])

    def is_ours(pid):
        while pid in parent and pid != os.getpid():
            pid = parent[pid]
        return pid == os.getpid()
    return (user + nice + system + irq + softirq + steal) / tick, sum(t for pid, t in own.items() if is_ours(pid)) / tick


class Look:
    """The clocks of some guests, all at one moment."""

    def __init__(self, listed, guests):
        """`listed`: what `xengpu list --json` has said just now."""
        found = {g['name']: g for g in listed['guests']}
        self.guests = {g: found[g] for g in guests}
        self.time, self.cpu = listed['time_ns'] / 1e9, cpu_seconds()
        self.wall = time.monotonic()


class Span:
    """What guests got between two looks. In seconds: `used`, `lack` (neither had the device nor wanted it), `turn` (mean)."""

    def __init__(self, before, after):
        def grown(guest, key):
            return after.guests[guest][key] - before.guests[guest][key]
        self.seconds = after.time - before.time
        self.used = {g: grown(g, 'device_time_ns') / 1e9 for g in before.guests}
        self.lack = {g: max(0.0, self.seconds - self.used[g] - grown(g, 'wait_time_ns') / 1e9) for g in before.guests}
        self.turn = {g: self.used[g] / max(1, grown(g, 'grants')) for g in before.guests}
        machine, own = (b - a for a, b in zip(before.cpu, after.cpu))
        self.foreign = max(0.0, (machine - own) / (after.wall - before.wall))

    def total(self):
        return sum(self.used.values())

    def machine_busy(self):
        return self.foreign >= FOREIGN

    def judge(self, weights, tolerance):
        """(FAIR, UNFAIR or UNCLEAR; why). `tolerance`: a part of the smallest share."""
        entitled = {g: self.total() * w / sum(weights.values()) for g, w in weights.items()}
        least = min(weights, key=lambda g: self.used[g] - entitled[g])
        short = entitled[least] - self.used[least]
        allowed = tolerance * min(entitled.values())
        if short <= allowed:
            return FAIR, ''
        turns, lack = sum(self.turn.values()), self.lack[least] if self.machine_busy() else 0
        text = f'{least} got {short:.2f} s less than its share'
        if short - allowed > turns + lack:
            return UNFAIR, text
        return UNCLEAR, f'{text}; a turn of each is {turns:.2f} s' + \
            (f', and it had nothing to do for {lack:.2f} s, while other processes used {self.foreign:.1f} processors' if lack else '')
