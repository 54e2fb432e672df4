#!/usr/bin/env python3
# The agent's keeper: holds the descriptors that it was given when the agent is gone, whoever asks it to end; without any it ends.
# limit: 30
# san: address
import os
import select
import signal
import socket
import subprocess
import sys
import time

AGENT = os.path.join(os.environ['XG_BUILD'], 'bin/xengpu-agent')


def keeper():
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    process = subprocess.Popen([AGENT, '--keep'], stdin=its, stdout=subprocess.DEVNULL)
    its.close()
    return ours, process


def comm(pid):
    with open(f'/proc/{pid}/comm') as f:
        return f.read().strip()


def closed(pipe, seconds):
    return bool(select.select([pipe], [], [], seconds)[0]) and os.read(pipe, 1) == b''


sock, process = keeper()
sock.close()
assert process.wait(10) == 0, 'nothing to keep'

sock, process = keeper()
reader, writer = os.pipe()
socket.send_fds(sock, [b'\0'], [writer])
more = [os.dup(writer) for _ in range(3)]
socket.send_fds(sock, [b'\0'], more)
for fd in (writer, *more):
    os.close(fd)
until = time.monotonic() + 10
while comm(process.pid) != 'xengpu-keeper':
    assert time.monotonic() < until, comm(process.pid)
    time.sleep(0.01)
sock.close()
for sign in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
    process.send_signal(sign)
assert not closed(reader, 0.5), 'it closed what it was to keep'
assert process.poll() is None, 'it ended'
process.kill()
process.wait(10)
assert closed(reader, 10), 'somebody else has the descriptor'
sys.exit(0)
