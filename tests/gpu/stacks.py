#!/usr/bin/env python3
"""Where the threads of processes are: stacks.py PID... prints it; text_of(PIDS) returns it. For programs that do not end, where there is
no debugger.

Of each thread what /proc says, and, if it may be stopped for a moment, the return addresses on its stack by name: words that point
behind a call instruction. That is more than the true stack (old words lie there too), never less.
"""
import bisect
import ctypes
import os
import struct
import sys

PTRACE_GETREGS, PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 12, 17, 0x4206, 0x4207
WALL = 0x40000000
RIP, RSP = 16, 19           # in user_regs_struct, x86-64
STACK = 24 << 10            # bytes looked at
FRAMES = 40                 # lines for a thread
REGISTERS = 27

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.restype = ctypes.c_long
libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)


def read(path, mode='r'):
    try:
        with open(path, mode) as f:
            return f.read()
    except OSError as e:
        return '' if mode == 'rb' else f'({e.strerror})'


class Names:
    """The functions of an ELF file, by address."""
    known = {}

    def __init__(self, path):
        self.at, self.names = [], []
        try:
            self.load(read(path, 'rb'))
        except (struct.error, IndexError):
            pass

    def load(self, data):
        if data[:5] != b'\x7fELF\x02':
            return
        where, = struct.unpack_from('<Q', data, 0x28)
        size, count = struct.unpack_from('<HH', data, 0x3a)
        sections = [struct.unpack_from('<IIQQQQIIQQ', data, where + i * size) for i in range(count)]
        offset, = struct.unpack_from('<Q', data, 0x20)
        step, n = struct.unpack_from('<HH', data, 0x36)
        self.segments = [struct.unpack_from('<IIQQQQQQ', data, offset + i * step) for i in range(n)]
        found = {}
        for s in sections:
            if s[1] not in (2, 11):  # SHT_SYMTAB, SHT_DYNSYM
                continue
            text = sections[s[6]]
            for at in range(s[4], s[4] + s[5], 24):
                name, info, _, index, value, _ = struct.unpack_from('<IBBHQQ', data, at)
                if info & 15 == 2 and index:
                    start = text[4] + name
                    found[value] = data[start:data.index(b'\0', start)].decode(errors='replace')
        self.at = sorted(found)
        self.names = [found[a] for a in self.at]

    def name(self, offset):
        """Of an offset in the file."""
        for kind, _, file_at, address, _, length, _, _ in getattr(self, 'segments', ()):
            if kind == 1 and file_at <= offset < file_at + length:
                i = bisect.bisect_right(self.at, offset - file_at + address) - 1
                return f'{self.names[i]}+{offset - file_at + address - self.at[i]:#x}' if i >= 0 else ''
        return ''

    @classmethod
    def of(cls, path):
        if path not in cls.known:
            cls.known[path] = cls(path)
        return cls.known[path]


class Process:
    def __init__(self, pid):
        self.pid = pid
        self.maps = []
        for line in read(f'/proc/{pid}/maps').splitlines():
            f = line.split(None, 5)
            if len(f) == 6 and 'x' in f[1] and f[5].startswith('/'):
                start, end = (int(n, 16) for n in f[0].split('-'))
                self.maps.append((start, end, int(f[2], 16), f[5]))

    def name(self, address):
        for start, end, offset, path in self.maps:
            if start <= address < end:
                at = address - start + offset
                return f'{os.path.basename(path)} {at:#x} {Names.of(path).name(at)}'.rstrip()
        return ''

    def memory(self, address, size):
        try:
            with open(f'/proc/{self.pid}/mem', 'rb', 0) as f:
                f.seek(address)
                return f.read(size)
        except (OSError, ValueError, OverflowError):
            return b''

    def is_return(self, address):
        """Behind a call: e8 and four bytes, or ff /2 with up to five."""
        if not any(start < address < end for start, end, _, _ in self.maps):
            return False
        code = self.memory(address - 7, 7)
        return len(code) == 7 and (code[2] == 0xe8 or any(code[-n] == 0xff and code[1 - n] & 0x38 == 0x10 for n in range(2, 8)))

    def frames(self, tid):
        """Stops the thread meanwhile."""
        if libc.ptrace(PTRACE_SEIZE, tid, None, None):
            return [f'(not to be stopped: {os.strerror(ctypes.get_errno())})']
        registers = (ctypes.c_ulonglong * REGISTERS)()
        libc.ptrace(PTRACE_INTERRUPT, tid, None, None)
        os.waitpid(tid, WALL)
        libc.ptrace(PTRACE_GETREGS, tid, None, registers)
        stack = b''
        for size in (STACK, 4096, 1024):  # it may end before that
            stack = stack or self.memory(registers[RSP], size)
        libc.ptrace(PTRACE_DETACH, tid, None, None)
        words = struct.unpack(f'<{len(stack) // 8}Q', stack[:len(stack) // 8 * 8])
        addresses = [registers[RIP], *(w for w in words if self.is_return(w))]
        return [self.name(a) or hex(a) for a in addresses[:FRAMES]]

    def text(self):
        try:
            tids = sorted(map(int, os.listdir(f'/proc/{self.pid}/task')))
        except OSError:
            return f'process {self.pid} is gone'
        lines = [f'process {self.pid}: {read(f"/proc/{self.pid}/cmdline").replace(chr(0), " ").strip()}']
        alike = {}  # a pool's idle threads are told once
        for tid in tids:
            task = f'/proc/{self.pid}/task/{tid}'
            where = f'{read(f"{task}/wchan")}; system call {read(f"{task}/syscall").strip()}'
            alike.setdefault(tuple(self.frames(tid)), []).append(f'{tid} {read(f"{task}/comm").strip()}: {where}')
        for frames, threads in alike.items():
            lines.append(f'  thread {threads[0]}' + (f', and {len(threads) - 1} more' if threads[1:] else ''))
            lines += [f'    {name}' for name in frames]
        return '\n'.join(lines)


def text_of(pids):
    return '\n'.join(Process(pid).text() for pid in pids)


if __name__ == '__main__':
    print(text_of(map(int, sys.argv[1:])))
