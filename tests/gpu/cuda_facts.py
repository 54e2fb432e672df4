#!/usr/bin/env python3
"""Prints as JSON what the loader's libcuda.so.1 says of its devices. A process of its own: a driver may crash or hang."""
import ctypes
import json

ATTRIBUTES = {'multiprocessors': 16, 'clock_khz': 13, 'memory_clock_khz': 36, 'l2_bytes': 38, 'compute_mode': 20, 'preemption': 90,
              'unified_addressing': 41, 'managed': 83, 'concurrent_managed': 89, 'pageable_access': 88, 'host_register': 99,
              'vmm': 102, 'pools': 115, 'major': 75, 'minor': 76, 'copy_engines': 40, 'gpu_direct_rdma': 116}


def facts():
    try:
        cuda = ctypes.CDLL('libcuda.so.1')
    except OSError as e:
        return {'error': f'libcuda.so.1: {e}'}
    status = cuda.cuInit(0)
    if status:
        name = ctypes.c_char_p()
        cuda.cuGetErrorName(status, ctypes.byref(name))
        return {'error': f'cuInit: {name.value.decode() if name.value else "error"} ({status})'}
    n = ctypes.c_int()
    cuda.cuDriverGetVersion(ctypes.byref(n))
    found = {'driver_version': f'{n.value // 1000}.{n.value % 1000 // 10}', 'devices': []}
    with open('/proc/self/maps') as f:
        found['library'] = next((m.split()[-1] for m in f if '/libcuda.so' in m), '')
    cuda.cuDeviceGetCount(ctypes.byref(n))
    for i in range(n.value):
        device, memory, name, value = ctypes.c_int(), ctypes.c_size_t(), ctypes.create_string_buffer(256), ctypes.c_int()
        cuda.cuDeviceGet(ctypes.byref(device), i)
        cuda.cuDeviceGetName(name, len(name), device)
        cuda.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
        d = {'name': name.value.decode(), 'memory': memory.value}
        uuid = ctypes.create_string_buffer(16)
        if cuda.cuDeviceGetUuid(uuid, device) == 0:
            d['uuid'] = uuid.raw.hex()
        for key, number in ATTRIBUTES.items():
            d[key] = value.value if cuda.cuDeviceGetAttribute(ctypes.byref(value), number, device) == 0 else None
        found['devices'].append(d)
    return found


print(json.dumps(facts()))
