"""``python -m moola_eval``."""

import sys

from moola_eval.cli import main

sys.exit(main())
