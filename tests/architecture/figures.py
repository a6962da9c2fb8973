"""Prints how large modules and functions are: `python -m tests.architecture.figures`."""

import sys

from tests.architecture.rules.catalogue import PROJECT
from tests.architecture.rules.shape import medians


def main() -> None:
    for name, (middle, most) in medians(PROJECT).items():
        sys.stdout.write(f"{name:24} median {middle:5.1f}   maximum {most:4}\n")


if __name__ == "__main__":
    main()
