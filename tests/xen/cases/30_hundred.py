# A hundred processes, one after another: grants, event channels, xenstore nodes, and the daemon's descriptors and memory are as before.
# The guest's kernel would notice, too: it may share 32,768 pages, and a hundred channels have ten times as many.
# limit: 330
import host

LOOP = '''for i in $(seq %d); do
    {house}/tests/programs/cuda_stream 10 2 >/tmp/said 2>&1 || {{ echo "process $i:"; cat /tmp/said; exit 1; }}
done'''.format(house=host.HOUSE)
MEMORY_KIB = 600


def rounds(bed, n):
    job = bed.one.spawn(LOOP % n, env={'LD_PRELOAD': 'libxengpu.so', 'XG_KERNELS': host.KERNELS})
    must(job.wait(300).status == 0, job.out)


def run(bed):
    agent = bed.one.agent.pid
    rounds(bed, 3)
    before, fds = bed.nothing_left(), bed.one.root(f'ls /proc/{agent}/fd | wc -l')
    rounds(bed, 100)
    now, fds_now = bed.nothing_left(before), bed.one.root(f'ls /proc/{agent}/fd | wc -l')
    must(fds == fds_now, f"the agent's descriptors: {fds} before, {fds_now} now")
    must(now.memory - before.memory < MEMORY_KIB, f'the daemon and its processes grew from {before.memory} to {now.memory} KiB')
    bed.note(f'the same before and after: {now.numbers()}; memory {before.memory} and {now.memory} KiB')
