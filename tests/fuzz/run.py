#!/usr/bin/env python3
"""Runs the fuzz targets: run.py --build BUILD/fuzz [--seconds N] [--minimise FOLDER...] [TARGET...]

First every input of corpus/TARGET, then mutated ones for so many seconds. What is new and worth keeping goes to BUILD/corpus/TARGET, and is where the next run
goes on; --minimise FOLDER... makes corpus/TARGET.zip of the least that reaches as much as all inputs there. What fails is kept in BUILD/crashes. FUZZ_LOG=1: what workers log."""
import argparse
import glob
import os
import re
import shutil
import subprocess
import sys
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
# The targets, and of words that their inputs have.
DICTIONARY = {'gl': 'gen/gl/gl.dict', 'wsi': 'gen/gl/gl.dict', 'cuda': 'gen/cuda/dict.txt', 'xen': None, 'local': None,
              'agent': None, 'operator': None}
# Which inputs were how rare costs more than to run them, as soon as there are some hundred.
LIMITS = ['-timeout=60', '-rss_limit_mb=3000', '-max_len=4096', '-entropic=0']
# It looks for no leaks (README.md), but would run half of its inputs twice for that.
MORE = {'cuda': ['-detect_leaks=0']}


def corpus(build, target):
    """Inputs of corpus/TARGET, each of a bug that was, and of corpus/TARGET.zip, which reach far; unpacked into one folder."""
    folder = os.path.join(build, 'corpus-given', target)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    with zipfile.ZipFile(f'{HERE}/corpus/{target}.zip') as z:
        z.extractall(folder)
    for path in glob.glob(f'{HERE}/corpus/{target}/*'):
        shutil.copy(path, folder)
    return folder


def run(build, target, seconds):
    found, crashes = os.path.join(build, 'corpus', target), os.path.join(build, 'crashes')
    for folder in (found, crashes):
        os.makedirs(folder, exist_ok=True)
    log = os.path.join(build, f'{target}.log')
    words = [f'-dict={build}/{DICTIONARY[target]}'] if DICTIONARY[target] else []
    command = [os.path.join(build, 'tests/fuzz', target), *LIMITS, *MORE.get(target, []),
               f'-artifact_prefix={crashes}/{target}-']
    given = corpus(build, target)
    seeds = sorted(glob.glob(f'{given}/*'))
    with open(log, 'w') as f:
        status = subprocess.run([*command, *seeds], stdout=f, stderr=f).returncode
        if status == 0 and seconds:
            status = subprocess.run([*command, f'-max_total_time={seconds}', '-print_final_stats=1',
                                     *words, found, given],
                                    stdout=f, stderr=f).returncode
    with open(log, errors='replace') as f:
        text = f.read()
    inputs = re.findall(r'number_of_executed_units: (\d+)', text)
    print(f'{target}: {len(seeds)} inputs of the corpus, {inputs[-1] if inputs else 0} mutated, '
          f'{sum(map(int, re.findall(r"^frames: ([0-9]+)", text, re.M)))} frames, status {status}')
    if status:
        wanted = re.search(r'^(==\d+==ERROR|.*runtime error|==\d+== ERROR).*', text, re.M)
        print(text[wanted.start():wanted.start() + 6000] if wanted else text[-3000:])
    return status == 0


def minimise(build, target, folders):
    least = os.path.join(build, 'least', target)
    shutil.rmtree(least, ignore_errors=True)
    os.makedirs(least)
    # To have been somewhere more often is not worth an input: the next run finds that again.
    subprocess.run([os.path.join(build, 'tests/fuzz', target), *MORE.get(target, []), '-timeout=60', '-max_len=1500', '-use_counters=0',
                    '-set_cover_merge=1', least, *folders], check=True)
    with zipfile.ZipFile(f'{HERE}/corpus/{target}.zip', 'w', zipfile.ZIP_DEFLATED, compresslevel=9) as z:
        for name in sorted(os.listdir(least)):
            with open(os.path.join(least, name), 'rb') as f:
                z.writestr(zipfile.ZipInfo(name), f.read(), zipfile.ZIP_DEFLATED)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument('--build', required=True)
    ap.add_argument('--seconds', type=int, default=60)
    ap.add_argument('--minimise', nargs='+', metavar='FOLDER')
    ap.add_argument('targets', nargs='*', default=[])
    args = ap.parse_args()
    build, good = os.path.abspath(args.build), True
    for target in args.targets or DICTIONARY:
        if args.minimise:
            minimise(build, target, args.minimise)
        else:
            good &= run(build, target, args.seconds)
    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main())
