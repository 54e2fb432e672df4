#!/usr/bin/env python3
"""Makes docs/two-guests.png: a picture of one X server's screen while two guests share a device, one drawing with OpenGL, one computing with
CUDA, and of what `xengpu top` says meanwhile. A real run, nothing in it is painted afterwards.

picture.py [--build DIR] [FILE.png]
"""
import argparse
import os
import signal
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, 'tests/lib'))
import e2e  # noqa: E402

WIDTH, HEIGHT, GAP, TEXT = 400, 300, 8, 124     # of each window; of the text below them
LOOK = 3                                        # seconds that `xengpu top` looks


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--build', default='build')
    parser.add_argument('file', nargs='?', default=os.path.join(ROOT, 'docs/two-guests.png'))
    args = parser.parse_args()
    with e2e.Bed(args.build) as bed:
        bed.xvfb(f'{2 * WIDTH + GAP}x{HEIGHT + TEXT}')
        bed.daemon()
        draws = bed.start(bed.as_guest('draws', ['glmark2', '--size', f'{WIDTH}x{HEIGHT}', '-b', 'jellyfish:duration=120']))
        computes = bed.start(bed.as_guest('computes', [f'{bed.build}/tests/programs/cuda_fractal', '--window', str(WIDTH + GAP), '0',
                                                       str(WIDTH), str(HEIGHT)]))
        e2e.wait_for(lambda: len([g for g in bed.list()['guests'] if g['device_time_ns'] > 1e9]) == 2, 60, 'two guests that use the device')
        # Its first table is of the time since the guests began, the second of the time between.
        top = bed.xengpu('top', '-d', str(LOOK), '-n', '2', '--socket-dir', bed.sockets, timeout=LOOK + 20).stdout
        table = top[top.rindex('GUEST'):]
        lines = ['$ xengpu run --guest draws -- glmark2 &', '$ xengpu run --guest computes -- cuda_fractal &', '$ xengpu top', '', *table.splitlines()]
        for p in (draws, computes):
            if p.poll() is not None:
                raise e2e.BedError('a guest has ended too early')
            os.killpg(p.pid, signal.SIGSTOP)
        path = os.path.join(bed.tmp, 'text')
        with open(path, 'w') as f:
            f.write('\n'.join(lines) + '\n')
        bed.start(['sh', '-c', f'exec {bed.build}/tests/tools/xtext 0 {HEIGHT} {2 * WIDTH + GAP} {TEXT} <{path}'])
        time.sleep(0.5)
        shot = bed.run([f'{bed.build}/tests/tools/xshot', args.file])
        for p in (draws, computes):
            os.killpg(p.pid, signal.SIGCONT)
        if shot.returncode:
            raise e2e.BedError(shot.stderr)
    print(f'{args.file}: {os.path.getsize(args.file)} bytes')


main()
