"""Refuse, in one line, a Python that cannot build the report; must itself run on an old one."""

import sys


def main():
    """Exit with 2 and one clear line unless this is 3.11 to 3.13 with the venv module."""
    have = "%d.%d" % sys.version_info[:2]
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        sys.stderr.write(
            "error: python3 is Python %s (%s); allowed: 3.11, 3.12 or 3.13;"
            " name another one with: make book PYTHON=python3.12\n" % (have, sys.executable)
        )
        return 2
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        sys.stderr.write(
            "error: Python %s has no venv module; on Debian and Ubuntu install it with:"
            " apt-get install python3-venv\n" % have
        )
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
