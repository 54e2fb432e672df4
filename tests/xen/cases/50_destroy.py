# xl destroy of a guest in the middle of a frame: the other guest draws on as if nothing were, nothing of the dead one remains with Xen,
# in the store or in the daemon, and a guest that is made anew is served.
# limit: 240
import host


def run(bed):
    steady = bed.steady(bed.one)
    drawing, computing = bed.steady(bed.two), bed.remote(bed.two, 'cudarem_lost', '/tmp/up')
    drawing.expect('frame 3', 60)
    host.wait_for(lambda: 'yes' in bed.two.run('test -e /tmp/up && echo yes').out, 60, 'cudarem_lost does not get under way')
    workers = [c['worker'] for c in bed.daemon.channels('two')]
    must(len(workers) == 2, f'two workers: {workers}')
    domid = bed.two.domid
    bed.two.destroy()
    host.wait_for(lambda: not any(host.alive(w) for w in workers), 10, 'workers of the dead guest live on')
    host.wait_for(lambda: not bed.daemon.guest('two'), 10, 'the daemon still has the guest')
    host.wait_for(lambda: domid not in host.event_channels(), 10, 'Xen still has the domain')
    left = [n for n in host.store_nodes() if f'/xengpu/{domid}' in n or f'/local/domain/{domid}/' in n]
    must(not left, f'nodes of the dead guest: {left}')
    bed.steady_end(steady)
    bed.mend()
    bed.works(bed.two)
    bed.nothing_left()
