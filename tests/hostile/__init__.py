"""Files that people really have, and files that nobody should have: each small, made when needed.

Each maker writes one file into a folder and returns its path. ``GOOD`` ones must give a result,
``BAD`` ones a one-line error.
"""

from tests.hostile import damage, names, others, pictures, sound
from tests.hostile.makers import BAD, GOOD

__all__ = ["BAD", "GOOD", "damage", "names", "others", "pictures", "sound"]
