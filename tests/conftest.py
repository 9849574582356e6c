"""How property tests run: in CI the same examples every time, elsewhere new ones; a slow machine fails none of them."""

import os

from hypothesis import settings

settings.register_profile("readplane", deadline=None, derandomize="CI" in os.environ, print_blob=True)
settings.load_profile("readplane")
