#!/usr/bin/env python3
"""Writes what the driver's hand-written files leave over of the API's symbols.

usage: gen_rest.py OUTPUT FUNC_TABLE_H PROCS_TABLE_H CUDA_API OBJECT...

For each symbol of the API that no OBJECT defines:
 - NAME_ptsz, NAME_ptds: calls NAME with the per-thread default stream for the default one;
 - NAME whose NAME_v2 has the same prototype: calls that;
 - everything else: answers CUDA_ERROR_NOT_SUPPORTED (sc_not_supported). These are listed in OUTPUT
   as comments that begin with "unsupported:".
"""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../protocol/gen"))
import cuda
import wire


def defined(objects):
    out = subprocess.run(["nm", "-g", "--defined-only", *objects], stdout=subprocess.PIPE,
                         check=True, text=True).stdout
    return set(re.findall(r" T (cu[A-Z]\w*)$", out, re.M))


def call(name, target, args, per_thread):
    values = []
    for i, a in enumerate(args):
        values.append(f"own(a{i})" if per_thread and a == "CUstream" else f"a{i}")
    return (f"{cuda.proto_text(name, args)}\n{{\n"
            f"    return {target}({', '.join(values)});\n}}\n\n")


def main():
    output, abi, table, api, *objects = sys.argv[1:]
    protos = cuda.read_prototypes(abi)
    have = defined(objects)
    # names that cuGetProcAddress does not give, too
    symbols = {row[-1] for _, row in wire.read_rows(table, "P")} | set(cuda.parse(api).symbols) | set(protos)
    body, stubs = "", []
    for name in sorted(symbols - have):
        base, _, flavour = name.rpartition("_")
        if flavour in ("ptsz", "ptds") and base in have and base in protos:
            body += call(name, base, protos[base], True)
        elif (f"{name}_v2" in have and name in protos
              and protos[name] == protos.get(f"{name}_v2")):
            body += call(name, f"{name}_v2", protos[name], False)
        elif (flavour == "ptsz" and f"{base}_v2" in have and base in protos
              and protos[base] == protos.get(f"{base}_v2")):
            body += call(name, f"{base}_v2", protos[base], True)
        else:
            stubs.append(name)
    text = ("/* Made by gen_rest.py. */\n#include \"softcuda/driver/sc.h\"\n\n#pragma GCC visibility push(default)\n"
            '#include "cuda/abi.h"\n\n'
            "static inline CUstream own(CUstream s)\n{\n"
            "    return s ? s : CU_STREAM_PER_THREAD;\n}\n\n")
    text += body
    for name in stubs:
        text += f"/* unsupported: {name} */\n"
        if name in protos:
            text += cuda.proto_text(name, protos[name]) + "\n"
        else:  # its parameters do not matter to a caller that is refused
            text += f"CUresult {name}(void);\nCUresult {name}(void)\n"
        text += "{\n    return sc_not_supported();\n}\n\n"
    with open(output, "w", encoding="utf-8") as f:
        f.write(text)


if __name__ == "__main__":
    main()
