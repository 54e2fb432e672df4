# A guest is saved and restored while programs in it draw and compute: they lose the device at once, its kernel has nothing to complain of,
# then or when they and the agent end, and new programs work with the same agent once the guest is attached again. The other guest draws on.
# limit: 600
import host

FILE = '/tmp/two.save'
EGL_CONTEXT_LOST = '0x300e'
# Has a channel, and keeps its descriptors when it has lost it.
IDLE = "import ctypes, time; print(ctypes.CDLL('libcuda.so.1').cuInit(0), flush=True); time.sleep(100000)"


def clean(guest, when):
    said = guest.complaints()
    must(not said, f'the kernel of {guest.name}, {when}: {said}')


def keepers(guest):
    return guest.run('pgrep -c -x xengpu-keeper').out.strip()


def lost(job, error):
    got = job.wait(30)
    must(got.status in (0, 3) and f'lost: {error}\n' in got.out, f'{error} is what it should get: {got}')


def run(bed):
    steady = bed.steady(bed.one)
    steady.expect('frame 1', 60)
    two = bed.two
    two.root('rm -f /tmp/up.*')
    drawing = bed.steady(two)
    drawing.expect('frame 3', 60)
    idle = two.remote(['python3', '-c', IDLE])
    idle.expect('0\n', 60)
    computing = bed.remote(two, 'cudarem_lost', '/tmp/up.computing', '100000')
    host.wait_for(lambda: 'yes' in two.run('test -e /tmp/up.computing && echo yes').out, 60, 'cudarem_lost does not get under way')
    must(keepers(two) == '0', 'nothing needs to be kept yet')
    agent, old = two.agent, two.domid

    two.save(FILE)
    host.wait_for(lambda: not bed.daemon.guest('two'), 20, 'the daemon lets go of the saved guest')
    must(host.grants().get(old, 0) == 0, 'nothing of it is mapped')
    steady.expect(f'frame {steady.out.count(chr(10)) + 2} ', 60)
    two.restore(FILE)
    must(two.domid != old, 'it is another domain')
    lost(drawing, EGL_CONTEXT_LOST)
    must('this guest was restored or migrated' in drawing.out, f'it is told why: {drawing.out[-300:]}')
    bed.frames_good(drawing)
    lost(computing, 'CUDA_ERROR_DEVICE_UNAVAILABLE')
    agent.expect('restored or migrated', 30)
    clean(two, 'after programs ended that were restored with it')

    new = bed.remote(two, 'cuda_matmul', '64').wait(60)
    must(new.status != 0 and 'restored or migrated' in new.out and 'xengpu attach' in new.out, f'a new program is told why it has no GPU: {new}')
    must('two: attached' in bed.daemon.tool('attach', 'two'), 'it is attached again')
    must(bed.daemon.guest('two')['state'] == 'connected', 'attached means connected')
    bed.works(two)
    must(agent.running() and two.agent is agent, 'the agent went on')
    must(idle.running(), 'a program that only waits is not disturbed')
    bed.steady_end(bed.steady(two))

    # What must not be closed outlives the agent and the programs.
    must(keepers(two) == '1', 'a process keeps what this kernel cannot close')
    idle.kill()
    idle.wait(30)
    two.agent_kill()
    two.agent_start()
    two.agent_ready()
    bed.works(two)
    must(keepers(two) == '1', 'it is still kept')
    clean(two, 'after its agent was killed')
    bed.steady_end(steady)
    bed.nothing_left()
    two.destroy()   # so that the next case has one that was never resumed
    host.run(['rm', '-f', FILE])
