"""What a model of the GRID commands cannot read: other sentences, by language and split."""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterator
from pathlib import Path

TEXT_SOURCES = {"dev": ("books", "rev"), "test": ("sgd", "taskmaster4")}

LANGUAGES: dict[str, dict[str, tuple[str, ...]]] = {
    "dev": {
        "de": (
            "Guten Morgen, wie geht es Ihnen heute?",
            "Der Zug nach Hamburg hat leider zwanzig Minuten Verspätung.",
            "Ich möchte gern ein Zimmer für zwei Nächte buchen.",
            "Gestern haben wir im Wald viele Pilze gefunden.",
            "Das Wetter wird am Wochenende wieder schöner.",
            "Können Sie mir bitte sagen, wo der Bahnhof ist?",
            "Meine Schwester studiert Medizin in Heidelberg.",
            "Die Kinder spielen draußen im Garten.",
        ),
        "fr": (
            "Bonjour, comment allez-vous aujourd'hui?",
            "Le train pour Lyon part à huit heures du matin.",
            "Je voudrais réserver une chambre pour deux nuits.",
            "Hier, nous avons visité un vieux château.",
            "Il fait très froid dans la montagne en hiver.",
            "Pouvez-vous me dire où se trouve la gare?",
            "Ma sœur travaille dans une petite librairie.",
            "Les enfants jouent dans le jardin.",
        ),
    },
    "test": {
        "es": (
            "Buenos días, ¿cómo está usted hoy?",
            "El tren a Sevilla sale a las ocho de la mañana.",
            "Quisiera reservar una habitación para dos noches.",
            "Ayer visitamos un castillo muy antiguo.",
            "En la montaña hace mucho frío en invierno.",
            "¿Puede decirme dónde está la estación?",
            "Mi hermana trabaja en una librería pequeña.",
            "Los niños juegan en el jardín.",
        ),
        "nl": (
            "Goedemorgen, hoe gaat het vandaag met u?",
            "De trein naar Utrecht heeft twintig minuten vertraging.",
            "Ik wil graag een kamer voor twee nachten boeken.",
            "Gisteren zijn we naar het strand geweest.",
            "Het weer wordt in het weekend weer mooier.",
            "Kunt u mij zeggen waar het station is?",
            "Mijn zus studeert geneeskunde in Leiden.",
            "De kinderen spelen buiten in de tuin.",
        ),
        "pl": (
            "Dzień dobry, jak się pan dzisiaj czuje?",
            "Pociąg do Krakowa odjeżdża o ósmej rano.",
            "Chciałbym zarezerwować pokój na dwie noce.",
            "Wczoraj zwiedziliśmy bardzo stary zamek.",
            "W górach zimą jest bardzo zimno.",
            "Czy może mi pani powiedzieć, gdzie jest dworzec?",
            "Moja siostra pracuje w małej księgarni.",
            "Dzieci bawią się w ogrodzie.",
        ),
        "sv": (
            "God morgon, hur mår du i dag?",
            "Tåget till Uppsala går klockan åtta på morgonen.",
            "Jag skulle vilja boka ett rum för två nätter.",
            "I går besökte vi ett mycket gammalt slott.",
            "På vintern är det mycket kallt i fjällen.",
            "Kan du säga mig var stationen ligger?",
            "Min syster arbetar i en liten bokhandel.",
            "Barnen leker ute i trädgården.",
        ),
    },
}  # German and French tell what to look for; the others, whether it was found


def english_sentences(texts: Path, split: str, rng: random.Random) -> Iterator[list[str]]:
    """Endless free English sentences of a split's sources, from lines of source, tab, sentence."""
    with gzip.open(texts, "rt", encoding="utf-8") as lines:
        pairs = (line.rstrip("\n").partition("\t") for line in lines)
        sentences = [text for source, _, text in pairs if source in TEXT_SOURCES[split]]
    while True:
        yield rng.choice(sentences).split()
