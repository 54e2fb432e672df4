# A guest that writes every sequence of states up to length four, absurd values in every node, and random words in the control page:
# the daemon lives, keeps nothing, serves the neighbour, and afterwards that guest itself.
# limit: 240
import host

HOSTILE = ['python3', f'{host.HOUSE}/xen/lib/hostile.py']


def run(bed):
    bed.remote(bed.two, 'cuda_loop', '1').wait(60)
    pid = bed.daemon.process.pid
    bed.one.agent_kill()
    host.wait_for(lambda: bed.daemon.guest('one')['state'] == 'closed', 10, 'the daemon notices that the agent was killed')
    for args in (['states', '4'], ['nodes'], ['control', '5']):
        work = bed.remote(bed.two, 'cuda_loop', '3')
        job = bed.one.spawn(HOSTILE + args, user='root').wait(120)
        must(job.status == 0, f'{args}: {job}')
        bed.note(f'{args[0]}: {job.out.strip().splitlines()[-1]}')
        must(work.wait(60).status == 0, f'{args}: the neighbour: {work.out}')
        must(bed.daemon.running() and bed.daemon.process.pid == pid, 'the daemon lives')
    bed.mend()
    must(bed.remote(bed.one, 'cuda_loop', '1').wait(60).status == 0, 'the guest itself is served again')
    bed.nothing_left()
