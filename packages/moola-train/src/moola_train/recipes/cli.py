"""The entry of the command ``moola``: runs it, or says in one line that the extra is missing."""

from __future__ import annotations

import sys

from moola_train.heap import keep_heap


def main() -> None:
    """Runs the command and exits: 0 good, 1 a gate of `evaluate` missed, 2 bad input, 130 interrupted."""
    try:
        from moola_train.recipes.commands import run
    except ModuleNotFoundError as error:
        print(
            f"moola: the command needs the extra: pip install 'moola-train[recipes]' (missing: {error.name})",
            file=sys.stderr,
        )
        sys.exit(2)
    except KeyboardInterrupt:
        print("moola: interrupted: nothing had been begun", file=sys.stderr)
        sys.exit(130)
    keep_heap()
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
