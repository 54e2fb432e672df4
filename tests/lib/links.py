#!/usr/bin/env python3
"""links.py DIR: every relative link of every Markdown page below DIR leads to something, and to a heading that is there."""
import os
import re
import sys

SKIP = ('build', '.git')


def text_of(page):
    """Without code, in which brackets mean something else."""
    with open(page) as f:
        text = f.read()
    text = re.sub(r'^```.*?^```', '', text, flags=re.S | re.M)
    return re.sub(r'`[^`\n]*`', '', text)


def anchors(page):
    """The headings as GitHub names them."""
    with open(page) as f:
        headings = re.findall(r'^#+ +(.*)', f.read(), re.M)
    return {re.sub(r'[^\w\- ]', '', h.lower()).replace(' ', '-') for h in headings}


bad = 0
root = os.path.abspath(sys.argv[1])
for folder, folders, names in os.walk(root):
    folders[:] = [d for d in folders if not d.startswith(SKIP)]
    for page in (os.path.join(folder, n) for n in names if n.endswith('.md')):
        for target in re.findall(r'\]\(([^)\s]+)\)|<img [^>]*src="([^"]+)"', text_of(page)):
            target = target[0] or target[1]
            if re.match(r'[a-z]+:', target):
                continue
            path, _, anchor = target.partition('#')
            there = os.path.join(folder, path) if path else page
            if not os.path.exists(there):
                print(f'{os.path.relpath(page, root)}: {path} is not there')
                bad = 1
            elif anchor and there.endswith('.md') and anchor not in anchors(there):
                print(f'{os.path.relpath(page, root)}: {path} has no heading #{anchor}')
                bad = 1
sys.exit(bad)
