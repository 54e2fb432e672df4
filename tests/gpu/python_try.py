"""python_try.py NAME PTX: what of a Python package works with the CUDA device that there is here; PTX: the kernel "vectoradd".

Prints one line of JSON for each thing tried: {"what", "ok", "text"}; `text` is a version, a device, or the
exception, whose traceback goes to stderr.
Each package is asked for the same, as far as it has it: import, the device's name, memory there and back, an addition of two vectors, a
matrix product.
"""
import array
import ctypes
import json
import re
import sys
import traceback

COUNT = 1000


def by_driver(call, named, ptx):
    """A vector addition by the driver API. call(name, *arguments) raises unless it succeeds; `named` holds the driver's own way to pass things."""
    module = call('cuModuleLoadData', ptx)
    function = call('cuModuleGetFunction', module, b'vectoradd')
    a, b = array.array('f', range(COUNT)), array.array('f', [2 * i for i in range(COUNT)])
    c = array.array('f', [0] * COUNT)
    at = [call('cuMemAlloc', 4 * COUNT) for _ in range(3)]
    for p, data in zip(at, (a, b)):
        call('cuMemcpyHtoD', p, data.buffer_info()[0], 4 * COUNT)
    named(function, at, COUNT)
    call('cuCtxSynchronize')
    call('cuMemcpyDtoH', c.buffer_info()[0], at[2], 4 * COUNT)
    for p in at:
        call('cuMemFree', p)
    return list(c) == [3.0 * i for i in range(COUNT)]


class Package:
    def __init__(self, ptx):
        self.ptx = ptx


class Ctypes(Package):
    """libcuda.so.1 by dlopen, as many small packages use it."""
    OUT = {'cuModuleLoadData': ctypes.c_void_p, 'cuModuleGetFunction': ctypes.c_void_p, 'cuMemAlloc': ctypes.c_uint64,
           'cuCtxCreate': ctypes.c_void_p, 'cuDeviceGet': ctypes.c_int, 'cuDriverGetVersion': ctypes.c_int}
    SECOND = ('cuMemAlloc', 'cuMemFree', 'cuMemcpyHtoD', 'cuMemcpyDtoH', 'cuCtxCreate')

    def call(self, name, *args):
        f = getattr(self.lib, name + '_v2' if name in self.SECOND else name)
        # A 64-bit number is a handle or an address, others are small.
        values = [a if isinstance(a, (bytes, ctypes._SimpleCData, ctypes.Array)) else ctypes.c_uint64(a) for a in args]
        out = self.OUT[name]() if name in self.OUT else None
        status = f(*([ctypes.byref(out)] if out is not None else []), *values)
        if status:
            text = ctypes.c_char_p()
            self.lib.cuGetErrorName(status, ctypes.byref(text))
            raise RuntimeError(f'{name}: {text.value.decode() if text.value else status}')
        return out.value if out is not None else None

    def bring(self):
        self.lib = ctypes.CDLL('libcuda.so.1')
        self.call('cuInit', 0)
        return f'driver {self.call("cuDriverGetVersion")}'

    def device(self):
        name, device = ctypes.create_string_buffer(128), self.call('cuDeviceGet', 0)
        self.call('cuDeviceGetName', name, 128, device)
        self.call('cuCtxCreate', 0, device)
        return name.value.decode()

    def launch(self, function, pointers, count):
        values = [*(ctypes.c_uint64(p) for p in pointers), ctypes.c_int(count)]
        params = (ctypes.c_void_p * len(values))(*(ctypes.addressof(v) for v in values))
        self.call('cuLaunchKernel', function, (count + 255) // 256, 1, 1, 256, 1, 1, 0, 0, params, 0)

    def add(self):
        return by_driver(self.call, self.launch, self.ptx)


class Bindings(Ctypes):
    """cuda-bindings, NVIDIA's own; `cuda` before version 12.6."""

    def call(self, name, *args):
        known = {'cuModuleLoadData': lambda p: (p,), 'cuCtxCreate': self.context_arguments}
        status, *rest = getattr(self.driver, name)(*known.get(name, lambda *a: a)(*args))
        if int(status):
            raise RuntimeError(f'{name}: {status}')
        return rest[0] if rest else None

    def context_arguments(self, flags, device):
        # Its arguments are those of the newest version of the function: since 13 with a structure before the flags.
        return (None, flags, device) if self.version and int(self.version.split('.')[0]) >= 13 else (flags, device)

    def bring(self):
        self.version = ''
        try:
            from cuda.bindings import driver
            import cuda.bindings
            self.version = getattr(cuda.bindings, '__version__', '')
        except ImportError:
            from cuda import cuda as driver
        self.driver = driver
        self.call('cuInit', 0)
        return self.version or 'without a version'

    def device(self):
        device = self.call('cuDeviceGet', 0)
        name = self.call('cuDeviceGetName', 128, device)
        self.call('cuCtxCreate', 0, device)
        return name.decode().rstrip('\0')

    def launch(self, function, pointers, count):
        values = tuple(int(p) for p in pointers) + (count,)
        params = (values, (ctypes.c_uint64,) * len(pointers) + (ctypes.c_int,))
        self.call('cuLaunchKernel', function, (count + 255) // 256, 1, 1, 256, 1, 1, 0, 0, params, 0)


class Torch(Package):
    def bring(self):
        import torch
        self.torch = torch
        return f'{torch.__version__}, for CUDA {torch.version.cuda}'

    def device(self):
        return self.torch.cuda.get_device_name(0)

    def copy(self):
        return self.torch.tensor(list(range(COUNT))).cuda().cpu().tolist() == list(range(COUNT))

    def add(self):
        a = self.torch.arange(COUNT, device='cuda')
        return (a + 2 * a).cpu().tolist() == [3 * i for i in range(COUNT)]

    def product(self):
        a = self.torch.full((64, 64), 2.0, device='cuda')
        return (a @ a).cpu().flatten().tolist() == [256.0] * 4096


class Cupy(Package):
    def bring(self):
        import cupy
        self.cupy = cupy
        return f'{cupy.__version__}, for CUDA {cupy.cuda.runtime.runtimeGetVersion()}'

    def device(self):
        return self.cupy.cuda.runtime.getDeviceProperties(0)['name'].decode()

    def copy(self):
        return self.cupy.array(list(range(COUNT))).get().tolist() == list(range(COUNT))

    def add(self):
        a = self.cupy.arange(COUNT)
        return (a + 2 * a).get().tolist() == [3 * i for i in range(COUNT)]

    def product(self):
        a = self.cupy.full((64, 64), 2.0, dtype='float32')
        return (a @ a).get().flatten().tolist() == [256.0] * 4096


class Jax(Package):
    def bring(self):
        import jax
        self.jax = jax
        return jax.__version__

    def device(self):
        self.place = self.jax.devices('gpu')[0]
        return self.place.device_kind

    def copy(self):
        return self.jax.device_put(self.jax.numpy.arange(COUNT), self.place).tolist() == list(range(COUNT))

    def add(self):
        with self.jax.default_device(self.place):
            a = self.jax.numpy.arange(COUNT)
            return (a + 2 * a).tolist() == [3 * i for i in range(COUNT)]

    def product(self):
        with self.jax.default_device(self.place):
            a = self.jax.numpy.full((64, 64), 2.0)
            return (a @ a).flatten().tolist() == [256.0] * 4096


class Numba(Package):
    def bring(self):
        import numba
        from numba import cuda
        self.cuda = cuda
        return numba.__version__

    def device(self):
        name = self.cuda.get_current_device().name
        return name.decode() if isinstance(name, bytes) else name

    def copy(self):
        import numpy
        return self.cuda.to_device(numpy.arange(COUNT)).copy_to_host().tolist() == list(range(COUNT))

    def add(self):
        import numpy
        cuda = self.cuda

        @cuda.jit
        def add(a, b, c):
            i = cuda.grid(1)
            if i < c.size:
                c[i] = a[i] + b[i]
        a = numpy.arange(COUNT, dtype=numpy.float32)
        c = numpy.zeros_like(a)
        add[(COUNT + 255) // 256, 256](a, 2 * a, c)
        return c.tolist() == [3.0 * i for i in range(COUNT)]


TRIES = {'ctypes': Ctypes, 'cuda': Bindings, 'torch': Torch, 'cupy': Cupy, 'jax': Jax, 'numba': Numba}
STAGES = (('import', 'bring'), ('device', 'device'), ('copy', 'copy'), ('vector addition', 'add'), ('matrix product', 'product'))


def say(what, ok, text):
    print(json.dumps({'what': what, 'ok': ok, 'text': str(text)}), flush=True)


def libraries():
    """The CUDA libraries that this process has, by their paths."""
    with open('/proc/self/maps') as f:
        paths = {line.split(None, 5)[5].strip() for line in f if line.count('/')}
    return sorted(p for p in paths if re.search(r'lib(cuda|cu[a-z]+|nv[a-zA-Z]+|xengpu)[-.\w]*\.so', p))


def main(name, ptx):
    with open(ptx, 'rb') as f:
        it = TRIES[name](f.read() + b'\0')
    for what, method in STAGES:
        f = getattr(it, method, None)
        if not f:
            continue
        try:
            result = f()
            say(what, result is not False, 'wrong numbers' if result is False else '' if result is True else result)
        except BaseException as e:
            traceback.print_exc()
            say(what, False, f'{type(e).__name__}: {(str(e).strip().splitlines() or [""])[0]}')
            if what == 'import':
                break
    say('libraries', True, ' '.join(libraries()))


if __name__ == '__main__':
    main(*sys.argv[1:3])
