# The daemon in a domain that is not Dom0: `two` serves `one`. Dom0's part is the tool alone.
# limit: 240
import host


def run(bed):
    want = bed.direct('cuda_matmul', '64')
    for g in (bed.one, bed.two):
        bed.daemon.detach(g)
    bed.one.agent.expect('taken away', 30)
    bed.two.root('printf "[pgpu gpu0]\\ngl = none\\ncuda = softcuda\\n" >/tmp/xengpud.conf')
    job = bed.two.spawn([f'{host.HOUSE}/bin/xengpud', '--xen', '--socket-dir', '/tmp/xengpud', '--config', '/tmp/xengpud.conf'], user='root')
    job.expect('ready', 60)
    must(f'this is domain {bed.two.domid}' in job.out, f'it knows which domain it is: {job.out}')
    job.expect('CUDA: softcuda', 60)
    refused = bed.two.run(f'{host.HOUSE}/bin/xengpu --help >/dev/null; {host.HOUSE}/bin/xengpu attach one --socket-dir /tmp/xengpud', user='root')
    must(refused.status == 1 and f'--backend {bed.two.domid}' in refused.out, f'attaching there says what to do: {refused}')
    bed.daemon.tool('attach', 'one', '--backend', 'two', 'weight=7')
    back = f'/local/domain/{bed.two.domid}/backend/xengpu/{bed.one.domid}/0'
    host.wait_for(lambda: host.store_read(f'{back}/state') == '4', 60, 'both ends are connected')
    must(host.store_read(f'/local/domain/{bed.one.domid}/device/xengpu/0/backend-id') == str(bed.two.domid), 'the backend is not Dom0')
    got = bed.remote(bed.one, 'cuda_matmul', '64').wait(60)
    must(got.status == 0 and got.out == want, f'{got}')
    listed = bed.two.run(f'{host.HOUSE}/bin/xengpu list --socket-dir /tmp/xengpud --json', user='root').out
    must('"weight": 7' in listed, f'what the tool wrote holds: {listed}')
    bed.daemon.tool('detach', 'one', '--backend', 'two')
    must(not host.store_read(f'{back}/state'), "the backend's end is gone")
    must(not host.store_read(f'/local/domain/{bed.one.domid}/device/xengpu/0/backend'), "the frontend's end is gone")
    job.kill(15)
    must(job.wait(30).status == 0, f'the daemon ends in order: {job.out}')
