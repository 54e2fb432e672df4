# The guest's agent shares no more pages than it was told to, by Xen's own count, whatever programs ask for; a program for which there is
# none left is told so, and those that run go on. Where the kernel's limit is lower and may not be raised the agent says what to type.
# limit: 90
import host

GRANTS, LIMIT = 1500, '/sys/module/xen_gntalloc/parameters/limit'


def hold(bed, name):
    """A program that has its channel, or was told why not."""
    bed.one.root(f'rm -f /tmp/{name}.*')
    job = bed.remote(bed.one, 'cuda_stream', '10', '2', f'/tmp/{name}')
    host.wait_for(lambda: 'ready' in job.out or not job.running(), 60, f'{name} does not get under way')
    return job


def grants(bed):
    return host.grants()[bed.one.domid]


def run(bed):
    bed.one.agent_kill()
    host.wait_for(lambda: bed.daemon.guest('one')['state'] == 'closed', 10, 'the daemon notices that the agent was killed')
    before = grants(bed)
    bed.one.agent_start('--grants', str(GRANTS))
    bed.one.agent_ready()
    bed.daemon.connected(bed.one)
    jobs = [hold(bed, f'held{i}') for i in range(3)]
    used = grants(bed) - before
    must([j.running() for j in jobs] == [True, True, False], f'two programs have a channel, the third has none: {[j.out for j in jobs]}')
    must(GRANTS // 2 < used <= GRANTS, f'{used} pages are mapped, and {GRANTS} may be shared')
    must(f'of {GRANTS} are in use' in jobs[2].out and '--grants' in jobs[2].out, f'the third is told so: {jobs[2].out}')
    bed.note(f'{used} pages of {GRANTS}')
    bed.one.root('touch ' + ' '.join(f'/tmp/held{i}.{n}' for i in range(2) for n in range(1, 5)))
    for job in jobs[:2]:
        must(job.wait(30).status == 0, f'it goes on: {job.out}')

    bed.one.agent_kill()
    raised = bed.one.root(['cat', LIMIT])
    bed.one.root(f'echo 1024 >{LIMIT}')
    bed.one.agent = bed.one.spawn(f'exec unshare -m sh -c "mount -o remount,bind,ro /sys && exec {host.HOUSE}/bin/xengpu-agent --xen"',
                                  user='root')
    bed.one.agent_ready()
    bed.daemon.connected(bed.one)
    must(f'> {LIMIT}' in bed.one.agent.out and '1024 pages' in bed.one.agent.out, f'it says what to type: {bed.one.agent.out}')
    bed.works(bed.one)
    must(bed.one.root(['cat', LIMIT]) == '1024\n', 'it could not raise the limit')
    bed.one.agent_kill()
    bed.one.root(f'echo {raised.strip()} >{LIMIT}')
