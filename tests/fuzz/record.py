#!/usr/bin/env python3
"""Makes inputs of what programs write to their rings: record.py --build BUILD OUTPUT; OUTPUT/gl, wsi and cuda get files for `TARGET -merge=1`.

A relay between the program and its agent keeps the channel's pages: what lies in a command ring when the program has ended is its last lap, from the
ring's beginning, where a frame always starts."""
import argparse
import array
import mmap
import os
import socket
import struct
import subprocess
import sys
import threading

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, 'tests/lib'))
import e2e
import layout
import raw
from layout import FRAME, RING_PAGE, TICKET

GL, WSI, CUDA = layout.XG_API_GL, layout.XG_API_WSI, layout.XG_API_CUDA
LONGEST = 2048   # bytes of a frame that is taken
WINDOW = 0x310000000000
INIT = layout.XG_CUDA_OP_INIT
ARENA = 1 << 19
INPUT = 4096     # of an input
PROGRAMS = {'cuda': ['cuda_vectoradd', 'cuda_memory', 'cuda_streams', 'cuda_events', 'cuda_module', 'cuda_contexts', 'cuda_hostfunc', 'cuda_graphs',
                     'cuda_managed', 'cuda_order', 'cuda_register', 'cuda_print'],
            'gl': ['gl_legacy', 'gl_modern', 'gl_es', 'gl_maps', 'gl_names', 'gl_share', 'gl_walk', 'gl_careless', 'gl_facts', 'egl_surfaces', 'gl_answers',
                   'gl_flags', 'gl_pictures']}


class Relay:
    """A device socket before the agent's; keeps the pages of each channel that is opened through it."""

    def __init__(self, path, agent):
        self.agent, self.channels = agent, []
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(path)
        self.listener.listen(8)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            program, _ = self.listener.accept()
            agent = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            agent.connect(self.agent)
            agent.send(program.recv(4096))
            data, fds = raw.receive(agent)
            program.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', fds))])
            self.channels.append((layout.WELCOME.get(data), fds[0] if fds else None))
            for fd in fds[1:]:
                os.close(fd)
            threading.Thread(target=lambda p=program, a=agent: (p.recv(1), a.close()), daemon=True).start()


def frames(memory, base, size, produced):
    """(op, bytes) of the ring's last lap."""
    end, at = produced if produced <= size else produced % size, 0
    while at + FRAME.size <= end:
        f = FRAME.get(memory, base + at)
        if f.size < FRAME.size or at + f.size > end:
            break
        yield f.op, bytes(memory[base + at:base + at + f.size])
        at += f.size


def rings(welcome, fd):
    pages = raw.ring_pages(welcome.cmd_order, welcome.reply_order)
    with mmap.mmap(fd, (1 + welcome.ring_count * pages + welcome.arena_pages) * raw.PAGE) as memory:
        for i in range(welcome.ring_count):
            index = (1 + i * pages) * raw.PAGE
            yield list(frames(memory, index + raw.PAGE, raw.PAGE << welcome.cmd_order, RING_PAGE.one(memory, 'cmd_prod', index)))


def write(folder, name, head, pieces):
    """Inputs of no more than INPUT bytes, one behind the other."""
    os.makedirs(folder, exist_ok=True)
    part, n = b'', 0
    for piece in pieces + [None]:
        if part and (piece is None or len(part) + len(piece) > INPUT):
            with open(os.path.join(folder, f'{name}-{n}'), 'wb') as f:
                f.write(head + part)
            part, n = b'', n + 1
        part += piece or b''


def window_moved(frames):
    """Addresses as if the guest had its window where tests/fuzz/fuzz_cuda.c has one, and its small arena."""
    window = size = 0
    for f in frames:
        if FRAME.one(f, 'op') == INIT:
            init = layout.CUDA_INIT.get(f, FRAME.size + TICKET.size)
            window, size = init.window, init.window_size

    def moved(word):
        if window <= word < window + size:
            return word - window + WINDOW
        return word & (ARENA - 1) if ARENA <= word < 1 << 30 else word

    words = [struct.unpack(f'<{len(f) // 8}Q', f) for f in frames if FRAME.one(f, 'op') != INIT]
    return [struct.pack(f'<{len(w)}Q', w[0], *map(moved, w[1:])) for w in words]


def take(output, name, ring):
    ring = [(op >> layout.XG_OP_API_SHIFT, data) for op, data in ring if len(data) <= LONGEST]
    for api in range(4):
        write(f'{output}/gl', f'{name}-{api}', struct.pack('<BBBBI', api, 1, 0, 0, 0), [d for a, d in ring if a == GL])
    write(f'{output}/wsi', name, struct.pack('<BBBBI', 0, 1, 0, 0, 0), [d for a, d in ring if a in (GL, WSI)])
    write(f'{output}/cuda', name, struct.pack('<BBBBI', 0, 0, 0, 0, 0), window_moved([d for a, d in ring if a == CUDA]))


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument('--build', default=os.path.join(ROOT, 'build'))
    ap.add_argument('output')
    args = ap.parse_args()
    with e2e.Bed(args.build) as bed:
        bed.daemon()
        bed.xvfb()
        bed.xengpu('attach', 'recorded', '--socket-dir', bed.sockets)
        for kind, programs in PROGRAMS.items():
            for n, program in enumerate(programs):
                relay = Relay(f'{bed.tmp}/relay-{kind}-{n}', f'{bed.sockets}/recorded/agent.sock')
                env = {'XENGPU_SOCKET': f'{bed.tmp}/relay-{kind}-{n}', 'LD_PRELOAD': f'{bed.build}/lib/libxengpu.so',
                       'LD_LIBRARY_PATH': f'{bed.build}/lib'}
                try:
                    r = bed.run([f'{bed.build}/tests/programs/{program}'], env, timeout=30)
                except subprocess.TimeoutExpired:
                    continue
                found = 0
                for welcome, fd in relay.channels:
                    if fd is None:
                        continue
                    for i, ring in enumerate(rings(welcome, fd)):
                        found += len(ring)
                        take(args.output, f'{program}-{i}', ring)
                print(f'{program}: status {r.returncode}, {found} frames')


if __name__ == '__main__':
    main()
