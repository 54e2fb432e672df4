#!/usr/bin/env python3
# A guest agent that says and writes things at random, on its socket and in shared memory, for some seconds: the daemon lives, leaks nothing, and serves others.
# XG_SEED and XG_SECONDS make it longer, or again the same.
# san: address
# limit: 120
import os
import random
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.environ.get('XG_ROOT', '.'), 'tests/lib'))
import e2e
import raw

seed = int(os.environ.get('XG_SEED', str(int(time.time()))))
seconds = float(os.environ.get('XG_SECONDS', '5'))
random.seed(seed)
print(f'XG_SEED={seed}')


def spoil_directory(memory, at):
    if random.random() < 0.3:
        offset = 4 * random.randrange(20)
        memory[at + offset:at + offset + 4] = os.urandom(4)


def message(agent):
    fds = [random.choice((0, 1, os.memfd_create('fuzz', os.MFD_CLOEXEC))) for _ in range(random.randrange(5))]
    agent.send(random.randrange(12), random.randrange(-2**31, 2**31), os.urandom(random.randrange(64)), fds, 1)
    for fd in fds:
        if fd > 2:
            os.close(fd)


def request(agent):
    agent.put(random.randrange(4), random.choice((0, 1, 2, 63, 64, 2**32 - 1)), os.urandom(240))


def open_channel(agent):
    payload = bytearray(agent.open_payload(rings=random.randrange(1, 4), change=spoil_directory))
    if random.random() < 0.5:
        payload[random.randrange(len(payload))] ^= 1 << random.randrange(8)
    agent.put(raw.OPEN, random.randrange(5), bytes(payload))
    if random.random() < 0.5:
        at = 4096 * random.randrange(4)
        agent.memory[-1][at:at + 512] = os.urandom(512)


def close_channel(agent):
    agent.put(raw.CLOSE, random.randrange(5))


def control_page(agent):
    at = random.randrange(0x200)
    agent.control[at:at + 4] = os.urandom(4)
    agent.notify()


def listen(agent):
    try:
        agent.message(0.05)
    except TimeoutError:
        pass


with e2e.Bed() as bed:
    daemon = bed.daemon(['--no-sandbox'])
    for name, more in (('good', ()), ('bad', ('agent=no',))):
        r = bed.xengpu('attach', name, *more, '--socket-dir', bed.sockets, timeout=60)
        if r.returncode:
            e2e.fail(r.stderr)
    good = raw.App(f'{bed.sockets}/good/agent.sock')
    before, steps = None, 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            agent = raw.Agent(f'{bed.sockets}/+store/bad', timeout=1)
            agent.read('device/xengpu/0/backend')
        except (OSError, EOFError):
            time.sleep(0.01)
            continue
        before = before or len(os.listdir(f'/proc/{daemon.pid}/fd'))
        try:
            agent.connect()
            for _ in range(random.randrange(60)):
                random.choice((message, request, open_channel, open_channel, open_channel, close_channel, control_page,
                               listen))(agent)
                steps += 1
        except (OSError, EOFError, AssertionError, raw.Refused, struct.error):
            pass
        agent.close()
    print(f'{steps} steps')
    if not steps or daemon.poll() is not None:
        e2e.fail(f'status of the daemon: {daemon.poll()}')
    if good.hung_up(0.1):
        e2e.fail('another guest lost its channel')
    e2e.wait_for(lambda: len(os.listdir(f'/proc/{daemon.pid}/fd')) < before, 10, 'descriptors are left')
