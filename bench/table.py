"""Shows results of the benchmarks: a table for the terminal, plots by gnuplot where it is there."""
import os
import shutil
import subprocess


def number(value):
    if value is None:
        return '-'
    if value >= 1e6:
        return f'{value:.3g}'
    return f'{value:.0f}' if value >= 100 else f'{value:.3g}'


def middle(values):
    values = sorted(values)
    n = len(values)
    if n == 0:
        return None
    return values[n // 2] if n % 2 else (values[n // 2 - 1] + values[n // 2]) / 2


def show(result):
    print(f"{result['machine']['cpu']}, {result['machine']['cpus']} CPUs, {result['pairs']} pairs, medians; a ratio of 1 means remoting costs nothing\n")
    print(f"{'':52} {'unit':>7} {'direct':>10} {'remoted':>10} {'ratio':>6}  {'of the pairs'}")
    suite = None
    for r in result['rows']:
        if r['suite'] != suite:
            suite = r['suite']
            print(suite)
        name = r['name'] if len(r['name']) <= 50 else r['name'][:47] + '...'
        if r.get('error'):
            print(f"  {name:50} failed: {r['error']}")
            continue
        ratio = f"{r['ratio']:.3f}" if 'ratio' in r else '-'
        spread = f"{min(r['ratios']):.3f} .. {max(r['ratios']):.3f}" if 'ratios' in r else ''
        print(f"  {name:50} {r['unit']:>7} {number(middle(r['direct'])):>10} {number(middle(r['remoted'])):>10} {ratio:>6}  {spread}")
    if 'glmark2_geometric_mean' in result:
        print(f"\nglmark2, geometric mean of the scenes' ratios: {result['glmark2_geometric_mean']:.3f}")


def plots(result, folder):
    """One picture per suite; the paths of what was written."""
    if not shutil.which('gnuplot'):
        return []
    written = []
    for suite in dict.fromkeys(r['suite'] for r in result['rows']):
        rows = [r for r in result['rows'] if r['suite'] == suite and 'ratio' in r]
        if not rows:
            continue
        data, picture = os.path.join(folder, f'{suite}.dat'), os.path.join(folder, f'{suite}.svg')
        with open(data, 'w') as f:
            for i, r in enumerate(rows):
                name = r['name'].replace('"', "'").replace('_', ' ')
                f.write(f'{i} {r["ratio"]} {min(r["ratios"])} {max(r["ratios"])} "{name}"\n')
        script = f"""
set terminal svg size 900,{120 + 22 * len(rows)} font "sans,11" background "white"
set output "{picture}"
set title "{suite}: remoted against direct (1 = costs nothing)"
set yrange [{len(rows) - 0.4}:-0.6]
set xrange [0:*]
set grid xtics
set lmargin 52
set arrow from 1,graph 0 to 1,graph 1 nohead dashtype 2
unset key
set style fill solid 0.6
plot "{data}" using (0.5*$2):0:(0.5*$2):(0.35):ytic(5) with boxxyerror linecolor rgb "#4477aa", \\
     "{data}" using 2:0:3:4 with xerrorbars pointtype 7 pointsize 0.3 linecolor rgb "#222222"
"""
        if subprocess.run(['gnuplot'], input=script, text=True, capture_output=True).returncode == 0:
            written.append(picture)
    return written
