#!/usr/bin/env python3
# A guest whose CUDA commands are well formed and make no sense, over the whole way to its workers: another guest computes meanwhile, and notices nothing.
# Deeper and faster, without a daemon: unit/test_cuda_hostile. XG_SEED and XG_SECONDS make it another, or longer.
# san: address
# limit: 120
import os
import random
import struct
import subprocess
import sys
import time

ROOT = os.environ.get('XG_ROOT', '.')
sys.path[:0] = [os.path.join(ROOT, 'tests/lib'), os.path.join(ROOT, 'protocol/gen')]
import cuda
import e2e
import layout
import ops
import raw
import wire

seed = int(os.environ.get('XG_SEED', '1'))
seconds = float(os.environ.get('XG_SECONDS', '8'))
random.seed(seed)

description = cuda.parse(os.path.join(ROOT, 'protocol/cuda/cuda.api'))
wire.Opcodes(os.path.join(ROOT, 'protocol/cuda/cuda.lock'), since=False).apply(description.ops)
OPS = {o.name: o for o in description.ops}
WINDOW, WINDOW_SIZE = 0x310000000000, 64 << 20
EDGES = [0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 2**63 - 1, 2**63, 2**64 - 8, WINDOW, WINDOW + WINDOW_SIZE]


class Ring(raw.Ring):
    def send(self, name, **values):
        op = OPS[name]
        return self.put(number(op), structure(op, lambda field: values.get(field.name, 0)), op.sync)


def number(op):
    return cuda.API.number << layout.XG_OP_API_SHIFT | op.op


def structure(op, value):
    """The command's, with what `value` says of each field."""
    fields = (struct.pack('<Q' if v.scalar.wire_size == 8 else '<I', value(v) % (1 << 8 * v.scalar.wire_size)) for v in op.values)
    return b''.join(fields).ljust(ops.size_of(op.values), b'\0')


def value(field):
    if random.random() < 0.02:
        return random.choice(EDGES)
    if field.scalar.wire_size == 8:
        return WINDOW + random.randrange(4096) if random.random() < 0.5 else random.randrange(4096)
    return random.randrange(4)


def frame(op):
    payload = structure(op, value)
    for _ in op.blobs:
        data = os.urandom(random.choice((4, 16, 64)))
        payload += layout.BLOB.pack(size=len(data)) + data.ljust(-(-len(data) // 8) * 8, b'\0')
    if random.random() < 0.01:
        payload = payload[:random.randrange(len(payload) + 1) & ~7]
    return payload


def misbehave(app):
    """Frames sent until the channel ended or a second was over."""
    ring = Ring(app)
    ring.send('INIT', version=1, shared=1, window=WINDOW, window_size=WINDOW_SIZE, snapshot=9)
    ring.send('CTX_PRIMARY', ctx=1)
    ring.send('CTX_SET', ctx=1)
    ring.send('MAP', va=WINDOW, size=2 << 20)
    ring.send('STREAM_CREATE', stream=1)
    ring.send('EVENT_CREATE', event=1)
    until, sent = time.monotonic() + 1, 0
    while time.monotonic() < until:
        op = random.choice(description.ops)
        if op.name == 'INIT' or not ring.put(number(op), frame(op), op.sync and random.random() < 0.9):
            continue
        sent += 1
        if sent % 16 == 0:
            ring.show()
            if ring.over():
                break
    ring.show()
    ring.memory.close()
    return sent


with e2e.Bed() as bed:
    daemon = bed.daemon()
    for name in ('good', 'bad'):
        r = bed.xengpu('attach', name, '--socket-dir', bed.sockets, timeout=60)
        if r.returncode:
            e2e.fail(r.stderr)
    program = [f'{bed.build}/tests/programs/cuda_matmul', '128']
    good, runs, channels, sent = None, 0, 0, 0
    end = time.monotonic() + seconds
    while time.monotonic() < end or good:
        if not good:
            good = bed.start(bed.as_guest('good', program), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        app = raw.App(f'{bed.sockets}/bad/agent.sock')
        if app.status:
            e2e.fail(f'no new channel after {channels}: {app.text}')
        sent += misbehave(app)
        channels += 1
        app.close()
        if good.poll() is not None:
            if good.returncode:
                e2e.fail(f'the other guest: status {good.returncode}: {good.stdout.read()}')
            good, runs = None, runs + 1
    print(f'XG_SEED={seed}: {sent} frames in {channels} channels, {runs} runs of another guest')
    if daemon.poll() is not None:
        e2e.fail(f'status of the daemon: {daemon.poll()}')
    if not runs or sent < 100 * seconds or channels < 3:
        e2e.fail('too little happened')
    log = open(bed.log, encoding='utf-8', errors='replace').read()
    if 'died of signal' in log or 'Sanitizer' in log:
        e2e.fail('a worker crashed:\n' + log[-4000:])
