# SPDX-License-Identifier: GPL-2.0-or-later
"""Each token that README.md shows still brings out the violation that it stands for.

    readme_tokens.py PVSHIM_RACE README
"""
import re
import subprocess
import sys


def main(race, readme):
    with open(readme, encoding="utf-8") as file:
        tokens = sorted(set(re.findall(r"x1:[\w:.,=-]+\d", file.read())))
    wrong = 0
    for token in tokens:
        done = subprocess.run([race, "replay", token, "--json"], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, check=False)
        print(f"{token}: {'violated' if done.returncode == 1 else done.stdout + done.stderr}")
        wrong += done.returncode != 1
    if not tokens:
        print("README.md shows no token")
    return 1 if wrong or not tokens else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
