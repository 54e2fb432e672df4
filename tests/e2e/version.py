#!/usr/bin/env python3
"""Every program says its release, and all say the same; a library and an agent that speak different versions of the protocol both name both."""
import os
import socket
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.environ.get('XG_ROOT', '.'), 'tests/lib'))
import e2e
import layout

HELLO, WELCOME = layout.HELLO, layout.WELCOME
OURS, ANOTHER = layout.XG_PROTOCOL_VERSION, layout.XG_PROTOCOL_VERSION + 6
RELEASE = e2e.release()
NUMBER = RELEASE.split()[0]
CALLS = """
import ctypes
cuda, runtime, n = ctypes.CDLL('libcuda.so.1'), ctypes.CDLL('libcudart.so.12'), ctypes.c_int()
print(cuda.cuInit(0), runtime.cudaGetDeviceCount(ctypes.byref(n)))
"""


def must(condition, text):
    if not condition:
        e2e.fail(text)


class Agent(threading.Thread):
    """One of another version, that answers each hello in its own way."""

    def __init__(self, path, answer):
        super().__init__(daemon=True)
        self.answer, self.heard = answer, []
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.bind(path)
        self.sock.listen()
        self.start()

    def run(self):
        while True:
            try:
                peer, _ = self.sock.accept()
            except OSError:
                return
            self.heard.append(peer.recv(4096))
            peer.send(self.answer)
            peer.recv(1)
            peer.close()


def every_program_says_its_release(bed):
    for command in (['xengpu'], ['xengpu', 'list'], ['xengpu', 'run'], ['xengpud'], ['xengpu-agent'], ['xengpu-bench']):
        r = bed.run([f'{bed.plain}/bin/{command[0]}', *command[1:], '--version'])
        must((r.returncode, r.stdout, r.stderr) == (0, f'{command[0]} {RELEASE}\n', ''), f'{command} --version: {r}')


def an_older_library_at_our_agent(bed):
    """In local mode the agent's words are in the daemon's log."""
    must(bed.xengpu('attach', 'old', '--socket-dir', bed.sockets, timeout=40).returncode == 0, 'attach')
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.settimeout(20)
    sock.connect(f'{bed.sockets}/old/agent.sock')
    sock.send(HELLO.pack(magic=layout.XG_HELLO_MAGIC, version=ANOTHER, pid=1)[:HELLO.at('command')])
    got = WELCOME.get(sock.recv(4096))
    text = got.text
    must((got.magic, got.version, got.status) == (layout.XG_WELCOME_MAGIC, OURS, -93), f'{got}')
    for part in (f'libxengpu.so speaks protocol version {ANOTHER}', f'xengpu-agent {NUMBER} speaks version {OURS}', 'install the same release'):
        must(part in text, f'not {part!r} in the answer: {text}')
        e2e.wait_for(lambda part=part: part in bed.log_text(), 10, f'not {part!r} in the log')


def our_library_at_another_agent(bed, name, answer, status, parts):
    path = os.path.join(bed.tmp, name)
    agent = Agent(path, answer)
    env = {'XENGPU_SOCKET': path, 'LD_LIBRARY_PATH': f'{bed.plain}/lib'}
    r = bed.run([sys.executable, '-c', CALLS], env)
    must(r.stdout.split() == [str(status)] * 2, f'{name}: CUDA says {r.stdout!r}, not {status}: {r.stderr}')
    gl = bed.run(['glxinfo', '-B'], {**env, 'LD_PRELOAD': f'{bed.plain}/lib/libxengpu.so'})
    for part in parts:
        must(part in r.stderr, f'{name}: not {part!r}: {r.stderr}')
        must(part in gl.stderr, f'{name}: OpenGL: not {part!r}: {gl.stderr}')
    hello = HELLO.get(agent.heard[0])
    must((hello.magic, hello.version) == (layout.XG_HELLO_MAGIC, OURS), 'the hello')
    agent.sock.close()


with e2e.Bed() as bed:
    every_program_says_its_release(bed)
    bed.daemon()
    an_older_library_at_our_agent(bed)
    bed.xvfb()
    refusal = f'the application\'s libxengpu.so speaks protocol version {OURS}, xengpu-agent 9.9 speaks version {ANOTHER}'
    ours = (f'libxengpu.so {NUMBER} speaks protocol version {OURS}', f'speaks version {ANOTHER}', 'install the same release')
    another = WELCOME.pack(magic=layout.XG_WELCOME_MAGIC, version=ANOTHER, status=-93)
    our_library_at_another_agent(bed, 'newer', another + bytes(2000), 803, ours)
    our_library_at_another_agent(bed, 'short', another[:WELCOME.at('platform')], 803, ours)
    same_layout = WELCOME.pack(magic=layout.XG_WELCOME_MAGIC, version=OURS, status=-93, text=refusal)
    our_library_at_another_agent(bed, 'newer-that-answers-in-version-1', same_layout, 803, (refusal,))
    our_library_at_another_agent(bed, 'nonsense', b'nonsense', 802, ('makes no sense',))
