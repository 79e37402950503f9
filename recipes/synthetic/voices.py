"""Who speaks: voices of espeak-ng, with no speaker in two splits."""

from __future__ import annotations

import random

from sentences import Split
from speech import Voice

TEST_VARIANTS = ("m3", "f2", "Andy", "Michael", "linda", "edward", "Annie")
DEV_VARIANTS = ("m5", "f4", "paul", "belinda", "adam", "Gene")
TRAIN_VARIANTS = (
    *("m1", "m2", "m4", "m6", "m7", "m8", "f1", "f3", "f5", "klatt", "klatt2", "klatt3", "klatt4"),
    *(
        "klatt5",
        "klatt6",
        "Alex",
        "Alicia",
        "Andrea",
        "Denis",
        "Diogo",
        "Gene2",
        "Henrique",
        "Hugo",
    ),
    *("Lee", "Marco", "Mike", "Mr serious", "Nguyen", "Reed", "RicishayMax", "Tweaky", "anika"),
    *("announcer", "antonio", "aunty", "benjamin", "boris", "david", "ed", "edward2", "grandma"),
    *("gustave", "iven2", "iven3", "iven4", "john", "kaukovalta", "marcelo", "max", "michel"),
    *(
        "miguel",
        "mike2",
        "norbert",
        "pablo",
        "pedro",
        "quincy",
        "rob",
        "robert",
        "sandro",
        "shelby",
    ),
    *("steph", "steph2", "travis", "victor", "zac", "grandpa", "Jacky", "Mario"),
)
VARIANTS: dict[Split, tuple[str, ...]] = {
    "train": TRAIN_VARIANTS,
    "dev": DEV_VARIANTS,
    "test": TEST_VARIANTS,
}
# British first: GRID's speakers are British.
ACCENTS = {
    "en": 4,
    "en-gb-x-rp": 4,
    "en-gb-x-gbclan": 2,
    "en-gb-x-gbcwmd": 2,
    "en-gb-scotland": 2,
    "en-us": 2,
    "en-us-nyc": 1,
    "en-029": 1,
}


def sample_voice(split: Split, rng: random.Random) -> Voice:
    """A random speaker of a split; half of them speak as flatly and fast as GRID's do."""
    like_grid = rng.random() < 0.5
    return Voice(
        variant=rng.choice(VARIANTS[split]),
        accent=rng.choices(list(ACCENTS), weights=list(ACCENTS.values()))[0],
        rate=rng.randint(150, 215) if like_grid else rng.randint(120, 260),
        pitch=rng.randint(20, 80),
        pitch_range=rng.randint(5, 35) if like_grid else rng.randint(20, 90),
        word_gap=rng.choice((0, 0, 0, 1, 1, 2, 4)),
        tract=rng.uniform(0.88, 1.14),
    )
