# `xengpu attach` says that a guest is attached once it is connected, and no sooner; otherwise what it waits for. The agent connects when it
# comes.
# limit: 180
import host


def attach(*args):
    return host.run([f'{host.HOUSE}/bin/xengpu', 'attach', *args], status=True)


def run(bed):
    bed.one.agent_kill()
    bed.daemon.detach(bed.one)
    status, said = attach('one')
    must(status == 1 and 'no agent uses it yet' in said and 'xengpu-agent' in said, f'no agent: {status} {said}')
    must(bed.daemon.guest('one')['state'] == 'waiting', 'it has its device')
    bed.one.agent_start()
    bed.daemon.connected(bed.one)
    bed.works(bed.one)
    bed.daemon.detach(bed.one)
    status, said = attach('one')
    must(status == 0 and 'one: attached' in said and bed.daemon.guest('one')['state'] == 'connected', f'an agent that runs: {status} {said}')
    bed.daemon.detach(bed.one)
    status, said = attach('one', '--backend', 'two')
    must(status == 1 and 'is xengpud running' in said, f'no daemon: {status} {said}')
    host.run(['xenstore-rm', f'/local/domain/{bed.two.domid}/backend', f'/local/domain/{bed.one.domid}/device/xengpu'])
    bed.daemon.tool('attach', 'one')
    bed.nothing_left()
