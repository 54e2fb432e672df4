#!/usr/bin/env python3
"""Makes a fatbin of PTX files, as a compiler would, so that tests need no CUDA toolkit.

usage: mkfatbin.py [--pack plain|zstd|lz4] [--arch 75] [--elf] -o OUT FILE.ptx ...

--elf adds an entry of machine code that no device can run, before the PTX, as a program for several
architectures has. The layout is described in cuda/fatbin.h.
"""
import argparse
import ctypes
import struct

PTX, ELF = 1, 2
FLAGS = {'plain': 0x11, 'lz4': 0x2011, 'zstd': 0x8011}


def zstd(data):
    lib = ctypes.CDLL('libzstd.so.1')
    lib.ZSTD_compressBound.restype = lib.ZSTD_compress.restype = ctypes.c_size_t
    out = ctypes.create_string_buffer(lib.ZSTD_compressBound(ctypes.c_size_t(len(data))))
    n = lib.ZSTD_compress(out, ctypes.c_size_t(len(out)), data, ctypes.c_size_t(len(data)), 19)
    if lib.ZSTD_isError(ctypes.c_size_t(n)):
        raise RuntimeError('zstd failed')
    return out.raw[:n]


def lz4(data):
    lib = ctypes.CDLL('liblz4.so.1')
    out = ctypes.create_string_buffer(lib.LZ4_compressBound(len(data)))
    n = lib.LZ4_compress_default(data, out, len(data), len(out))
    if n <= 0:
        raise RuntimeError('lz4 failed')
    return out.raw[:n]


def entry(kind, data, pack, arch):
    packed = {'plain': lambda d: d, 'zstd': zstd, 'lz4': lz4}[pack](data)
    padded = packed + bytes(-len(packed) % 8)
    header = struct.pack('<HHIQIIIIQQQQ', kind, 0x0101, 64, len(padded),
                         0 if pack == 'plain' else len(packed), 0, 0x80004, arch, 0, FLAGS[pack], 0,
                         0 if pack == 'plain' else len(data))
    assert len(header) == 64, len(header)
    return header + padded


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--pack', choices=sorted(FLAGS), default='plain')
    p.add_argument('--arch', type=int, default=75)
    p.add_argument('--elf', action='store_true')
    p.add_argument('-o', required=True)
    p.add_argument('ptx', nargs='+')
    a = p.parse_args()
    body = b''
    if a.elf:
        body += entry(ELF, b'\x7fELF' + bytes(60), 'plain', 20)
    for path in a.ptx:
        with open(path, 'rb') as f:
            body += entry(PTX, f.read().rstrip(b'\0') + b'\0', a.pack, a.arch)
    with open(a.o, 'wb') as f:
        f.write(struct.pack('<IHHQ', 0xBA55ED50, 1, 16, len(body)) + body)


if __name__ == '__main__':
    main()
