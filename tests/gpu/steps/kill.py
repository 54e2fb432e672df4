"""kill -9 of one worker in the middle of its work: what its program is told and when, what the neighbour notices, and whether the memory is back."""
import busy
import killing

LIMIT = 40
QUICK = 30


def run(bed, report, quick):
    try:
        cuda = busy.Calibrated(bed, 'cuda_busy', killing.NEIGHBOUR, killing.VICTIM)
    except busy.Absent as e:
        report.result('kill -9 of a worker', 'absent', str(e))
        return
    killing.guests_attach(bed)
    killing.kill(bed, report, 'a CUDA worker', cuda, cuda, killing.VICTIM, killing.around(quick))
