# An OpenGL program in one guest and a CUDA program in the other, at once, as an unprivileged user with nothing but LD_PRELOAD: pictures
# and numbers are those of the same programs in Dom0, byte for byte.
# limit: 150
import concurrent.futures


def run(bed):
    want_frames = bed.direct('gl_frames', '16', '/tmp/direct.raw')
    want_matmul = bed.direct('cuda_matmul')
    with open('/tmp/direct.raw', 'rb') as f:
        want_picture = f.read()
    must(len(set(want_picture)) > 50, 'the picture in Dom0 has something in it')

    drawing = bed.remote(bed.one, 'gl_frames', '16', '/tmp/remote.raw')
    computing = bed.remote(bed.two, 'cuda_matmul')
    drawn, computed = drawing.wait(60), computing.wait(60)
    must(drawn.status == 0 and drawn.out == want_frames, f'gl_frames: Dom0 {want_frames!r}, guest {drawn}')
    must(computed.status == 0 and computed.out == want_matmul, f'cuda_matmul: Dom0 {want_matmul!r}, guest {computed}')
    must(bed.one.get('/tmp/remote.raw') == want_picture, 'the picture in the guest is another one')

    with concurrent.futures.ThreadPoolExecutor(1) as beside:   # it takes its time
        want_es = beside.submit(bed.direct, 'gl_es')
        es = bed.remote(bed.two, 'gl_es').wait(60)
        must(es.status == 0 and es.out == want_es.result(), f'gl_es: Dom0 {want_es.result()!r}, guest {es}')
    who = bed.one.run(['id', '-u']).out.strip()
    must(who == '1000', f'programs run as uid {who}')
    opened = bed.one.run('for f in evtchn gntdev gntalloc privcmd; do (exec 3</dev/xen/$f) 2>/dev/null && echo $f; done').out
    must(opened == '', f'the user may open {opened}')
