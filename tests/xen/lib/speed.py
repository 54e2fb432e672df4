"""How much of the processor time that QEMU wanted it had: Linux counts, for each thread, how long it ran and how long it waited to run.
Measured on the host, told to Dom0 through the shared folder, so that both judge by the same."""
import json
import os

FILE = 'speed'
BUSY = 0.75     # who had less than this part of what it wanted was held up by others


class Meter:
    """Of a process on this host. Threads that end keep what they had."""

    def __init__(self, pid):
        self.pid, self.threads = pid, {}

    def read(self):
        """(ran, waited) in seconds, since the process began"""
        try:
            for t in os.listdir(f'/proc/{self.pid}/task'):
                with open(f'/proc/{self.pid}/task/{t}/schedstat') as f:
                    self.threads[t] = [int(x) / 1e9 for x in f.read().split()[:2]]
        except OSError:
            pass  # it ends just now, or this kernel does not count
        return tuple(sum(x[i] for x in self.threads.values()) for i in (0, 1))

    def publish(self, folder):
        path = os.path.join(folder, FILE)
        with open(path + '.new', 'w') as f:
            json.dump(self.read(), f)
        os.replace(path + '.new', path)


def published(folder):
    """What publish() wrote last; nothing measured is nothing waited for."""
    try:
        with open(os.path.join(folder, FILE)) as f:
            return tuple(json.load(f))
    except (OSError, ValueError):
        return 0.0, 0.0


def had(before, after):
    """The part of what was wanted between two readings: 1 if it never waited."""
    ran, waited = (b - a for a, b in zip(before, after))
    return ran / (ran + waited) if ran + waited > 0 else 1.0


def words(part):
    return f'QEMU had {100 * part:.0f} % of the processor time it wanted'
