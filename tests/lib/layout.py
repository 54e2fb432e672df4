"""The contract's constants and records, as the headers of protocol/ have them: what tests/tools/layout.c prints.

layout.XG_RING_MAGIC                    a constant
layout.RING_PAGE.put(m, at, magic=...)  writes fields of the record that is at `at` of something writable
layout.RING_PAGE.get(m, at).cmd_prod    reads them all; text ends at its NUL
layout.RING_PAGE.one(m, 'error', at)    reads one
layout.HELLO.pack(magic=..., pid=...)   a record's bytes; what is not said is 0
layout.HELLO.at('pid')                  where in the record a field is
"""
import os
import struct
import types

HERE = os.path.dirname(os.path.abspath(__file__))
# beside this file where that stands alone, as in a guest
PLACES = (os.path.join(HERE, 'layout.txt'),
          os.path.join(os.environ.get('XG_BUILD') or os.path.join(HERE, '../../build'), 'gen/layout.txt'))


class Record:
    def __init__(self, size, fields):
        self.size, self.fields = size, fields

    def at(self, field):
        return self.fields[field][0]

    def put(self, memory, at=0, **values):
        for name, value in values.items():
            offset, form = self.fields[name]
            value = value.encode() if isinstance(value, str) else value
            struct.pack_into(form, memory, at + offset, *(value if isinstance(value, (list, tuple)) else [value]))

    def pack(self, **values):
        data = bytearray(self.size)
        self.put(data, **values)
        return bytes(data)

    def one(self, memory, field, at=0):
        offset, form = self.fields[field]
        values = struct.unpack_from(form, memory, at + offset)
        value = values[0] if len(values) == 1 else values
        return value.split(b'\0')[0].decode(errors='replace') if isinstance(value, bytes) else value

    def get(self, memory, at=0):
        """Those of its fields that are there: a message may have been cut off."""
        return types.SimpleNamespace(**{name: self.one(memory, name, at) for name, (offset, form) in self.fields.items()
                                        if at + offset + struct.calcsize(form) <= len(memory)})


def read(path):
    fields = {}
    with open(path) as f:
        for line in f:
            name, number, *form = line.split()
            if form:
                fields[name.partition('.')[2]] = (int(number), '<' + form[0])
            elif name.startswith('XG_'):
                globals()[name] = int(number)
            else:
                globals()[name.upper()] = Record(int(number), fields)
                fields = {}


found = [p for p in PLACES if os.path.exists(p)]
if not found:
    raise ImportError(f'no {PLACES[1]}: `make tests` makes it')
read(found[0])
