"""Files that tests need and that this repository does not hold: ``shared``, beside the checkout.

Such tests carry the mark ``shared``. No other run takes notice of that folder; ``python -m pytest
-m shared`` runs them, and they fail where a file is missing.
"""

from pathlib import Path

SHARED = Path(__file__).parents[2] / "shared"
GOLDEN = SHARED / "golden"
GRID = SHARED / "data" / "grid"
