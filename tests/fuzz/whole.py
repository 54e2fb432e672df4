#!/usr/bin/env python3
"""Frames of the fuzz targets through whole workers, with the drivers of this machine: whole.py --build BUILD [--seconds N] [--corpus FOLDER] [gl] [cuda]

An application's channel gets inputs of corpus/, and of FOLDER/wsi, FOLDER/gl and FOLDER/cuda where a long run of the targets left its own, one behind the other and a
little changed, until its worker ends the channel; then the next one. A daemon that ends fails the run, and so does a worker of BUILD/asan that crashes in our code."""
import argparse
import collections
import glob
import os
import random
import re
import subprocess
import sys
import time
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, 'tests/lib'))
import e2e
import layout
import raw

PARTS = {'gl': ('wsi', 'gl'), 'cuda': ('cuda',)}
APIS = {'gl': (layout.XG_API_GL,), 'wsi': (layout.XG_API_GL, layout.XG_API_WSI), 'cuda': (layout.XG_API_CUDA,)}
WINDOW, WINDOW_SIZE = 0x310000000000, 64 << 20
ENDLESS = layout.XG_CUDA_OP_HOST_CALL, layout.XG_CUDA_OP_HOST_NEXT  # host functions, which nobody runs here: the guest would wait for itself
SECONDS = 4  # of a channel, at most: a guest may well make its own worker slow


def obedient(build, target, paths):
    """Those after which a worker goes on: the others would end each channel after some frames."""
    good = []
    for at in range(0, len(paths), 200):
        r = subprocess.run([f'{build}/fuzz/tests/fuzz/{target}', *paths[at:at + 200]], capture_output=True, env={**os.environ, 'FUZZ_LOG': '1'})
        for part in r.stderr.decode(errors='replace').split('Running: ')[1:]:
            if 'thrown out' not in part and 'Executed' in part:
                good.append(part.split('\n')[0])
    return good


def inputs(build, target, folder, tmp):
    given = f'{tmp}/{target}'
    with zipfile.ZipFile(f'{HERE}/corpus/{target}.zip') as z:
        z.extractall(given)
    paths = [p for p in glob.glob(f'{given}/*') + glob.glob(f'{HERE}/corpus/{target}/*') + glob.glob(f'{folder}/{target}/**', recursive=True)
             if os.path.isfile(p)]
    good = [open(path, 'rb').read() for path in obedient(build, target, paths)]
    print(f'{target}: {len(paths)} inputs, {len(good)} of which leave their worker', flush=True)
    return good


def frames(data, apis):
    """(op, call, payload) as tests/fuzz/fuzz.c takes them."""
    at, head, shift = 8, layout.FRAME.size, layout.XG_OP_API_SHIFT
    while at + head <= len(data):
        frame = layout.FRAME.get(data, at)
        op, at = frame.op, at + head
        payload = min(max(frame.size, head) - head & ~7, len(data) - at & ~7)
        if op >> shift not in apis:
            op = apis[0] << shift | op & (1 << shift) - 1
        yield op, frame.flags & layout.XG_FRAME_CALL, data[at:at + payload]
        at += payload


def changed(payload):
    if payload and random.random() < 0.01:
        at = random.randrange(len(payload))
        payload = payload[:at] + bytes([random.choice((0, 1, 0x7f, 0xff, random.randrange(256)))]) + payload[at + 1:]
    return payload


class Choice:
    """Inputs that mostly leave their worker come more often than those that end it."""

    def __init__(self, corpora):
        self.given = {part: list(data) for part, data in corpora.items()}
        self.lived = {(part, n): 1 for part in corpora for n in range(len(corpora[part]))}
        self.died = dict.fromkeys(self.lived, 0)

    def pick(self, part):
        while True:
            key = part, random.randrange(len(self.given[part]))
            if random.random() < self.lived[key] / (self.lived[key] + 8 * self.died[key]) + 0.01:
                return key

    def learn(self, sent, done):
        for key, end in sent:
            if end > done:
                self.died[key] += 1
                break
            self.lived[key] += 1


def channel(app, target, choice):
    """How many frames were executed."""
    ring, ends, sent, until = raw.Ring(app), [], [], time.monotonic() + SECONDS
    part, *rest = PARTS[target]
    if target == 'cuda':
        init = layout.CUDA_INIT.pack(version=layout.XG_CUDA_WIRE_VERSION, shared=1, window=WINDOW, window_size=WINDOW_SIZE, snapshot=9)
        ring.put(layout.XG_CUDA_OP_INIT, init, True)
    while time.monotonic() < until and not ring.over():
        key = choice.pick(part)
        for op, call, payload in frames(choice.given[part][key[1]], APIS[part]):
            if op in ENDLESS:
                continue
            if not ring.put(op, changed(payload[layout.TICKET.size:] if call else payload), call):
                break
            ends.append(ring.prod)
        sent.append((key, ring.prod))
        ring.show()
        part = rest[0] if rest else part
    time.sleep(0.01)
    done = ring.word('cmd_done')
    ring.memory.close()
    choice.learn(sent, done)
    return sum(end <= done for end in ends)


def run(bed, target, seconds, folder):
    corpora = {part: inputs(bed.plain, part, folder, bed.tmp) for part in PARTS[target]}
    before = len(bed.log_text())
    began = told = time.monotonic()
    channels, sent, choice, refused = 0, 0, Choice(corpora), collections.Counter()
    while time.monotonic() < began + seconds:
        app = raw.App(f'{bed.sockets}/{target}/agent.sock')
        if app.status:
            refused[app.text.split(';')[0]] += 1  # a guest whose workers crash waits for the next
            time.sleep(1)
        else:
            sent += channel(app, target, choice)
            channels += 1
        app.close()
        if time.monotonic() - told > 60:
            print(f'{target}: {sent} frames so far', flush=True)
            told = time.monotonic()
        if bed.daemon_process.poll() is not None:
            e2e.fail(f'the daemon ended: {bed.daemon_process.returncode}')
    print(f'{target}: {sent} frames in {channels} channels, {sent / (time.monotonic() - began):.0f} a second', flush=True)
    log = bed.log_text()[before:]
    if os.environ.get('FUZZ_LOG'):
        print(log)
    print(f"{target}: {len(re.findall(r'ended: its worker died of signal|ERROR: AddressSanitizer', log))} workers crashed; refused: {dict(refused)}", flush=True)
    # A driver that is handed NULL may crash its worker (README.md); with the build for AddressSanitizer it is seen where.
    places = re.findall(r'ERROR: AddressSanitizer.*?(#0 0x[^\n]*)', log, re.S) + re.findall(r'.*: runtime error: .*', log)
    return [where for where in places if '/dri/' not in where and 'gallium' not in where]


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument('--build', default=os.path.join(ROOT, 'build'))
    ap.add_argument('--seconds', type=int, default=60)
    ap.add_argument('--corpus', default='')
    ap.add_argument('--seed', type=int, default=int(time.time()))
    ap.add_argument('targets', nargs='*')
    args = ap.parse_args()
    random.seed(args.seed)
    print(f'--seed {args.seed}', flush=True)
    with e2e.Bed(args.build, os.environ.get('XG_PLAIN_BUILD')) as bed:
        bed.env['SOFTCUDA_TIMEOUT_MS'] = '50'
        bed.daemon()
        for target in args.targets or PARTS:
            bed.xengpu('attach', target, '--socket-dir', bed.sockets, timeout=60)
            crashes = run(bed, target, args.seconds, args.corpus)
            if crashes:
                e2e.fail('\n'.join(crashes))


if __name__ == '__main__':
    main()
