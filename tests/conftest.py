"""How property tests run: the same examples on every machine in CI, new ones elsewhere; slow machines don't fail them."""

import os

from hypothesis import settings

settings.register_profile("readplane", deadline=None, derandomize="CI" in os.environ, print_blob=True)
settings.load_profile("readplane")
