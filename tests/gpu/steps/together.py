"""OpenGL beside others on the one device: beside CUDA, two OpenGL programs at once, and kill -9 of an OpenGL worker beside CUDA."""
# It is the last step: on the GPUs that were tried, a driver that draws for two may stand still, and afterwards no program of OpenGL can be relied on.
import time

import at_once
import beside
import busy
import e2e
import killing

LIMIT = 75
QUICK = 30
GL_LENGTH = 5.0     # ms, a frame


def cuda_and_gl(bed, report, cuda, gl, quick):
    seconds = 1 if quick else 3
    if not beside.room(bed, report, 'CUDA beside OpenGL', seconds):
        return True
    alone = {(5.0, False): beside.rate_alone(bed, cuda, 5.0, 0.7), (GL_LENGTH, True): beside.rate_alone(bed, gl, GL_LENGTH, 0.7)}
    weights = beside.WEIGHTS[:1] if quick else beside.WEIGHTS
    return beside.pair(bed, report, 'CUDA beside OpenGL', ((cuda, 5.0), (gl, GL_LENGTH)), alone, seconds, weights)


def kill(bed, report, cuda, gl):
    killing.guests_attach(bed)
    try:
        killing.kill(bed, report, 'an OpenGL worker', gl, cuda, killing.NEIGHBOUR, killing.AROUND)
    except e2e.BedError as e:
        report.result('an OpenGL worker', 'failed', str(e)[:300])


def run(bed, report, quick):
    end = time.monotonic() + bed.left() - 4
    try:
        cuda, gl = busy.Calibrated(bed, 'cuda_busy', 5.0, killing.VICTIM), busy.Calibrated(bed, 'gl_busy', GL_LENGTH)
    except busy.Absent as e:
        report.result('OpenGL beside CUDA', 'absent', str(e))
        return
    if not bed.daemon_process:
        bed.daemon()
    good = cuda_and_gl(bed, report, cuda, gl, quick)
    if quick:
        return
    if good:
        kill(bed, report, cuda, gl)
    else:
        report.result('an OpenGL worker', 'note', 'not killed: the device stood still before')
    at_once.tell(bed, report, end)
