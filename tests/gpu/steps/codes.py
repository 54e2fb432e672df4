"""What the driver answers to wrong arguments, call by call, against what softcuda and a guest's libcuda answer."""
import collections
import concurrent.futures

import cuda_codes
from cuda_codes import ends, made, unsupported
from report import FAILED, NOTE, OK

LIMIT = 60
QUICK = 20


class Tables:
    def __init__(self, bed, report, quick):
        self.bed, self.report = bed, report
        seconds = max(1, min(bed.left(), QUICK if quick else LIMIT) - 10)
        self.command = [bed.program('cuda_codes'), '--seconds', f'{seconds:.0f}', *(['--safe'] if quick else [])]
        self.timeout = seconds + 5
        self.answers = {}

    def take(self):
        build = self.bed.build
        # A guest's asynchronous calls answer late, unless it asks for each.
        ways = {'guest': lambda: self.bed.guest('codes', self.command, {'XENGPU_CUDA_STRICT': '1'}, self.timeout),
                'softcuda': lambda: self.bed.run(self.command, {'LD_LIBRARY_PATH': f'{build}/lib/softcuda:{build}/lib'}, self.timeout)}
        if self.bed.gpu:
            # Known ends of the program take most of the time: each costs a new context.
            ways['driver'] = lambda: self.bed.direct([*self.command, '--skip', cuda_codes.DRIVER], timeout=self.timeout)
        with concurrent.futures.ThreadPoolExecutor(len(ways)) as pool:
            runs = {name: pool.submit(run) for name, run in ways.items()}
        for name, future in runs.items():
            self.keep(name, future.result())

    def keep(self, name, run):
        lines = run.stdout.splitlines()
        self.answers[name] = cuda_codes.table(run.stdout)
        if run.returncode or not lines:
            self.report.result(name, FAILED, f'status {run.returncode}: {(run.stderr or run.stdout).strip()[-200:] or "says nothing"}')
        else:
            whole = len(set(lines[-1].split()[0:3:2])) == 1  # "N of N calls"
            self.report.result(name, OK if whole else FAILED, lines[-1] + (' made' if whole else ' made: no time for the others'))
        # The whole table: with it softcuda can be compared again where there is no driver.
        self.report.log(f'codes of {name}\n{run.stdout}{run.stderr[-1000:]}')

    def guest_ends(self):
        """Calls that end a guest's program or worker, and none on softcuda."""
        for call, answer in self.answers['guest'].items():
            other = self.answers['softcuda'].get(call, '')
            if ends(answer) and made(other) and not ends(other):
                self.report.result(call, FAILED, f'guest: {answer}; softcuda: {other}')

    def against(self, theirs):
        """Each call that ours answer otherwise than a driver: failed, or one of those that are meant to."""
        count = sum(made(answer) and not ends(answer) for answer in theirs.values())
        meant = collections.Counter()
        wrong = collections.defaultdict(list)
        different = cuda_codes.differences(theirs, {side: self.answers[side] for side in cuda_codes.SIDES}, cuda_codes.Reasons())
        for d in different:
            if d.reason:
                meant[d.side, d.reason] += 1
            else:
                wrong[d.call, d.theirs].append(f'{d.side} {d.ours}')
        for (call, answer), ours in wrong.items():
            self.report.result(call, FAILED, f'driver {answer}; {", ".join(ours)}')
        for (side, reason), n in meant.items():
            self.report.result(f'{side} otherwise', NOTE, f'{n} calls: {reason}')
        for side in cuda_codes.SIDES:
            self.report.result(f'{side} as the driver', NOTE, f'but in {sum(d.side == side for d in different)} of {count} calls')

    def driver_ends(self):
        crashes = [call for call, answer in self.answers['driver'].items() if ends(answer)]
        self.report.result('driver crashes', NOTE, f'{len(crashes)} calls end the program that are not known to: {", ".join(crashes[:8])}')

    def against_known(self):
        """This driver may be another than the one whose answers the tests without a GPU go by."""
        known, which = cuda_codes.driver()
        new = {call: answer for call, answer in self.answers['driver'].items() if made(answer) and known.get(call) != answer}
        other = {call: answer for call, answer in new.items() if call in known}
        self.report.log('answered otherwise than in cuda_codes.driver:\n' +
                        '\n'.join(f'{call}: {answer}, there {known[call]}' for call, answer in other.items()))
        self.report.result('driver as the known one', NOTE, f'{len(other)} calls otherwise, {len(new) - len(other)} not known yet; {which}')


def run(bed, report, quick):
    bed.daemon()
    tables = Tables(bed, report, quick)
    tables.take()
    none = sorted(unsupported(tables.answers['guest']))
    report.result('not supported', NOTE, f'{len(none)} functions in a guest: {", ".join(none)}')
    tables.guest_ends()
    if bed.gpu:
        tables.against(tables.answers['driver'])
        tables.driver_ends()
        tables.against_known()
    else:
        tables.against(cuda_codes.driver()[0])
