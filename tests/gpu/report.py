"""What a step tells, and what run.py makes of it: lines of text as they come, report.json and report.txt.

A step writes each result into a file at once, one line of JSON each, so nothing is lost when it hangs or dies.
"""
import json
import os

OK, FAILED, ABSENT, NOTE = 'ok', 'failed', 'absent', 'note'
OUTCOMES = (OK, FAILED, ABSENT, NOTE)


class Report:
    """The step's end of it."""

    def __init__(self, path):
        self.file = open(path, 'a', buffering=1)

    def _write(self, **line):
        # One write, ended by the newline: whoever reads meanwhile takes whole lines only.
        self.file.write(json.dumps(line, default=str) + '\n')

    def result(self, name, outcome, text='', **figures):
        """`outcome`: OK; FAILED; ABSENT, what it needs is not on this machine, `text` says what; NOTE, a fact that is neither good nor bad."""
        if outcome not in OUTCOMES:
            raise ValueError(f'{name}: no outcome is called {outcome!r}')
        self._write(name=name, outcome=outcome, text=text, figures=figures)

    def log(self, text):
        """Details, which report.json keeps and nobody is shown."""
        self._write(log=text)


def figure(value):
    return f'{value:.4g}' if isinstance(value, float) else str(value)


def line(step, result):
    """One result as one line for people."""
    parts = [' '.join(result['text'].split())] if result['text'] else []
    parts += [f'{name} {figure(value)}' for name, value in result['figures'].items()]
    return f"{step:<10} {result['outcome']:<7} {result['name']:<28} {', '.join(parts)}".rstrip()


def counts(steps):
    """{outcome: how many results}"""
    results = [r['outcome'] for s in steps for r in s['results']]
    return {o: results.count(o) for o in OUTCOMES}


def summary(whole):
    c = counts(whole['steps'])
    failed = [f"{s['name']}: {r['name']}" for s in whole['steps'] for r in s['results'] if r['outcome'] == FAILED]
    text = f"{c[OK]} ok, {c[FAILED]} failed, {c[ABSENT]} absent, {c[NOTE]} notes in {whole['seconds']:.0f} s"
    return text + ''.join(f'\nfailed: {f}' for f in failed)


def page(whole):
    """report.txt"""
    device = 'the NVIDIA driver' if whole['gpu'] else 'no GPU: softcuda and Mesa'
    lines = [f"xengpu {whole['xengpu']}, {whole['started']}, {device}{', short form' if whole['quick'] else ''}", '']
    for s in whole['steps']:
        lines.append(f"--- {s['name']}: {s['about']} ({s['seconds']:.1f} s)")
        lines += [line(s['name'], r) for r in s['results']]
        if any(r['outcome'] == FAILED for r in s['results']):
            lines += ['    | ' + text for text in s['output'].splitlines()[-20:]]
        lines.append('')
    return '\n'.join(lines + [summary(whole)]) + '\n'


def write(folder, whole):
    """Both files, whole or not at all, also where another run writes there. Returns what prevents it, or ''."""
    for name, text in (('report.json', json.dumps(whole, indent=1) + '\n'), ('report.txt', page(whole))):
        path = os.path.join(folder, name)
        new = f'{path}.{os.getpid()}.new'
        try:
            with open(new, 'w', encoding='utf-8', errors='backslashreplace') as f:
                f.write(text)
            os.replace(new, path)
        except OSError as e:
            if os.path.exists(new):
                os.unlink(new)
            return f'{path}: {e.strerror}'
    return ''
