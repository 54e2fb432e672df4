# kill -9 of a guest's agent: its programs lose the device within a second, the other guest draws on; a new agent serves new programs,
# nothing is left.
# limit: 240
import time


def run(bed):
    steady = bed.steady(bed.one)
    victim = bed.steady(bed.two)
    victim.expect('frame 3', 60)
    start = time.monotonic()
    bed.two.agent_kill()
    bed.lost(victim, start, 'gl_frames')
    steady.expect('frame', 30)
    bed.two.agent_start()
    bed.two.agent_ready()
    bed.works(bed.two)
    bed.steady_end(steady)
    bed.nothing_left()
