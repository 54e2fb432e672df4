# Two processes of one guest use the device at the same time, each with a worker of its own; both give what they give in Dom0.
# limit: 150
import host


def run(bed):
    want = bed.direct('cuda_matmul')
    drawing = bed.steady(bed.one)
    drawing.expect('frame 3', 60)
    streaming = bed.remote(bed.one, 'cuda_stream', '100', '10', '/tmp/together')
    streaming.expect('ready', 60)
    channels = bed.daemon.channels('one')
    must(len(channels) == 2 and len({c['worker'] for c in channels}) == 2, f'two channels, two workers: {channels}')
    computed = bed.remote(bed.one, 'cuda_matmul').wait(60)
    must(computed.status == 0 and computed.out == want, f'cuda_matmul beside others: {computed}')
    bed.one.root('touch /tmp/together.1 /tmp/together.2 /tmp/together.3 /tmp/together.4')
    must(streaming.wait(60).status == 0, f'cuda_stream: {streaming.out}')
    bed.steady_end(drawing)
    host.wait_for(lambda: not bed.daemon.channels('one'), 10, 'channels that are over remain')
