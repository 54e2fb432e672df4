# `xl save -c`, after which the guest runs on: nothing happens to its programs. A guest whose device was taken away before it was saved has
# nothing that its kernel cannot close after it was restored.
# limit: 600
# on request
import host

FILE = '/tmp/two.save'


def keepers(guest):
    return guest.run('pgrep -c -x xengpu-keeper').out.strip()


def run(bed):
    two = bed.two
    drawing = bed.steady(two)
    drawing.expect('frame 3', 60)
    agent, domid, said = two.agent, two.domid, two.agent.out
    host.run(['xl', 'save', '-c', 'two', FILE], timeout=120)
    must(host.run(['xl', 'domid', 'two']).strip() == str(domid), 'it is the same domain')
    bed.steady_end(drawing)
    must(agent.running() and agent.out == said, f'the agent has nothing to say: {agent.out}')
    bed.works(two)
    bed.nothing_left()

    bed.daemon.detach(two)
    two.save(FILE)
    two.restore(FILE)
    bed.daemon.tool('attach', 'two')
    bed.works(two)
    must(agent.running() and keepers(two) == '0', 'nothing had to be kept')
    two.agent_kill()
    must(not two.complaints(), f'its kernel: {two.complaints()}')
    two.destroy()
    host.run(['rm', '-f', FILE])
