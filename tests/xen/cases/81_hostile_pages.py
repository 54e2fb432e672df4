# An application that rewrites the index pages that it shares: it loses its channel, and nobody else notices.
# limit: 120
import host

HOSTILE = ['python3', f'{host.HOUSE}/xen/lib/hostile.py']


def run(bed):
    for g in (bed.one, bed.two):
        bed.remote(g, 'cuda_loop', '1').wait(60)
    work = bed.remote(bed.two, 'cuda_loop', '8')
    job = bed.one.spawn(HOSTILE + ['ring', '6']).wait(120)
    must(job.status == 0, f'{job}')
    bed.note(job.out.splitlines()[0])
    must(', 0 taken away' not in job.out, f'no channel was ever taken away: {job.out}')
    must(work.wait(60).status == 0, f'the neighbour: {work.out}')
    must(bed.remote(bed.one, 'cuda_loop', '1').wait(60).status == 0, 'the next application of that guest')
    bed.nothing_left()
