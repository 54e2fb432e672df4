"""What the driver answers to wrong arguments, call by call, against what softcuda and a guest's libcuda answer."""
import concurrent.futures
import re

from report import FAILED, NOTE, OK

LIMIT = 60
QUICK = 20

WHEN = re.compile('^(before cuInit|no context|capturing): ')
# What a guest answers to everything that it does not support, but before cuInit, or without the objects that such a function takes.
UNSUPPORTED = {'CUDA_ERROR_NOT_SUPPORTED', 'CUDA_ERROR_NOT_INITIALIZED', 'not made, there is no such object'}


def table(text):
    """{call: answer}"""
    rows = (line.rpartition('): ') for line in text.splitlines())
    return {call + ')': answer for call, colon, answer in rows if colon}


def function(call):
    return WHEN.sub('', call).partition('(')[0]


def unsupported(answers):
    """The functions that answer nothing else, whatever they are asked."""
    said = {}
    for call, answer in answers.items():
        said.setdefault(function(call), set()).add(answer)
    return {f for f, s in said.items() if s <= UNSUPPORTED and 'CUDA_ERROR_NOT_SUPPORTED' in s}


def ends(answer):
    """The call ended the program, or the worker behind it."""
    return answer.startswith(('crashed', 'hung')) or answer == 'CUDA_ERROR_DEVICE_UNAVAILABLE'


def made(answer):
    return not answer.startswith('not made')


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
            ways['driver'] = lambda: self.bed.direct(self.command, timeout=self.timeout)
        with concurrent.futures.ThreadPoolExecutor(len(ways)) as pool:
            runs = {name: pool.submit(run) for name, run in ways.items()}
        for name, future in runs.items():
            self.keep(name, future.result())

    def keep(self, name, run):
        lines = run.stdout.splitlines()
        self.answers[name] = table(run.stdout)
        if run.returncode or not lines:
            self.report.result(name, FAILED, f'status {run.returncode}: {(run.stderr or run.stdout).strip()[-200:] or "says nothing"}')
        else:
            whole = len(set(lines[-1].split()[0:3:2])) == 1  # "N of N calls"
            self.report.result(name, OK if whole else FAILED, lines[-1] + (' made' if whole else ' made: no time for the others'))
        # The whole table: with it softcuda can be compared again where there is no driver.
        self.report.log(f'codes of {name}\n{run.stdout}{run.stderr[-1000:]}')

    def ends(self, name, like):
        """Calls that end a program here and not in `like`."""
        for call, answer in self.answers[name].items():
            other = self.answers[like].get(call, '')
            if ends(answer) and made(other) and not ends(other):
                self.report.result(call, FAILED, f'{name}: {answer}; {like}: {other}')

    def against_driver(self):
        """Each call that ours answer otherwise."""
        answers, none = self.answers, unsupported(self.answers['guest'])
        same = {'softcuda': 0, 'guest': 0}
        for call, theirs in answers['driver'].items():
            ours = {name: answers[name].get(call, 'not made') for name in same}
            if not made(theirs):
                continue
            wrong = []
            for name, answer in ours.items():
                if answer == theirs:
                    same[name] += 1
                # What is not there has no code to be right; nor is a driver's crash anything to be like.
                elif made(answer) and not ends(answer) and not ends(theirs) and not (name == 'guest' and function(call) in none) and \
                        answer != 'CUDA_ERROR_NOT_SUPPORTED':
                    wrong.append(f'{name} {answer}')
            if wrong:
                self.report.result(call, FAILED, f'driver {theirs}; {", ".join(wrong)}')
        for name, count in same.items():
            self.report.result(f'{name} as the driver', NOTE, f'in {count} of {sum(map(made, answers["driver"].values()))} calls')
        crashes = [call for call, answer in answers['driver'].items() if ends(answer)]
        self.report.result('driver crashes', NOTE, f'{len(crashes)} calls end the program: {", ".join(crashes[:8])}')

    def against_softcuda(self):
        """softcuda is no judge of codes: where a guest answers otherwise is for a driver to decide."""
        none = unsupported(self.answers['guest'])
        rows = [(call, a, self.answers['guest'].get(call, 'not made')) for call, a in self.answers['softcuda'].items()]
        different = [(call, a, b) for call, a, b in rows if a != b and made(a) and made(b) and function(call) not in none]
        self.report.log('answered otherwise in a guest than by softcuda:\n' + '\n'.join(f'{call}: softcuda {a}, guest {b}' for call, a, b in different))
        self.report.result('guest as softcuda', NOTE, f'in all but {len(different)} of {len(rows)} calls; which of them is right, a driver will tell')


def run(bed, report, quick):
    bed.daemon()
    tables = Tables(bed, report, quick)
    tables.take()
    none = sorted(unsupported(tables.answers['guest']))
    report.result('not supported', NOTE, f'{len(none)} functions in a guest: {", ".join(none)}')
    tables.ends('guest', 'softcuda')
    if bed.gpu:
        tables.ends('softcuda', 'driver')
        tables.ends('guest', 'driver')
        tables.against_driver()
    else:
        tables.against_softcuda()
