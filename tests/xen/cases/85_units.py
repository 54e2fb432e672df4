# As docs/xen.md has it: guests with systemd in which xengpu is installed, its units enabled, one of them with the GPU; glmark2 under an X
# server and a CUDA program of an unprivileged user; units that are killed and started again.
# limit: 240
# on request
# installed
import host

INSTALL = 'cp -a /opt/xengpu/installed/. / && systemctl daemon-reload'
PRELOAD = 'LD_PRELOAD=/usr/local/lib/xengpu/lib/libxengpu.so'
CUDA = f'XG_KERNELS={host.KERNELS} {PRELOAD} LD_LIBRARY_PATH=/usr/local/lib/xengpu/lib {host.PROGRAMS}/cuda_matmul 64'


def unit_ready(guest, unit):
    host.wait_for(lambda: guest.run(['systemctl', 'is-active', unit], user='root').out.strip() == 'active', 60, f'{unit} is not active')


def run(bed):
    want = bed.direct('cuda_matmul', '64')
    for g in (bed.one, bed.two):
        g.destroy()
    gpu, app = (bed.guest(name, systemd=True) for name in ('gpu', 'app'))
    for g, unit in ((gpu, 'xengpud'), (app, 'xengpu-agent')):
        g.root(INSTALL)
        g.root(f'systemctl enable --now {unit}')
        unit_ready(g, unit)
    back = f'/local/domain/{gpu.domid}/backend/xengpu/{app.domid}/0'

    def connected():
        host.wait_for(lambda: host.store_read(f'{back}/state') == '4', 60,
                      lambda: f'both ends are not connected; {gpu.root("journalctl -u xengpud | tail -20")}'
                              f'{app.root("journalctl -u xengpu-agent | tail -20")}')

    def works():
        got = app.run(CUDA)
        must(got.status == 0 and got.out == want, f'CUDA: {got}')

    bed.daemon.tool('attach', 'app', '--backend', 'gpu', 'weight=200', 'host-memory=512M')
    connected()
    works()
    # The unit lets the daemon have a control group for each guest, also after a reload.
    gpu.root('systemctl reload xengpud')
    group = '/sys/fs/cgroup/system.slice/xengpud.service/xengpud-*/guests/guest-app'
    got = gpu.run(f'cat {group}/memory.max {group}/cpu.weight', user='root')
    must(got.out.split() == [str(512 << 20), '200'], f'no control group: {got}; {gpu.root("journalctl -u xengpud | head -20")}')
    got = app.run(f'{PRELOAD} xvfb-run -a glmark2 -b build:duration=2 -b texture:duration=2 2>&1', seconds=120)
    must(got.status == 0 and 'GL_RENDERER:    xengpu' in got.out and 'glmark2 Score' in got.out, f'glmark2: {got}')
    bed.note('; '.join(line.strip() for line in got.out.splitlines() if 'FPS' in line or 'RENDERER' in line))
    for g, command in ((gpu, 'systemctl kill -s KILL xengpud'), (gpu, 'systemctl restart xengpud'),
                       (app, 'systemctl kill -s KILL xengpu-agent'), (app, 'systemctl restart xengpu-agent')):
        g.root(command)
        host.wait_for(lambda: app.run(CUDA).out == want, 60, f'{command}: programs do not work again')
        connected()
    bed.daemon.tool('detach', 'app', '--backend', 'gpu')
    for g, unit in ((app, 'xengpu-agent'), (gpu, 'xengpud')):
        g.root(f'systemctl disable --now {unit}')
        g.destroy()
