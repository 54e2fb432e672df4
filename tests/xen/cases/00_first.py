# A CUDA and an OpenGL program give in a guest what they give in Dom0.
# limit: 120


def run(bed):
    for name, args in (('cuda_matmul', ()), ('gl_es', ())):
        want = bed.direct(name, *args)
        job = bed.remote(bed.one, name, *args)
        got = job.wait(60)
        must(got.status == 0, f'{name}: {got}')
        must(got.out == want, f'{name}: Dom0 {want!r}, guest {got.out!r}')
