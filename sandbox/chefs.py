"""Generated chefs for the demo: names in any script, with emoji, quotes and up to 255 characters."""

import random
from collections.abc import Iterator

LONGEST = 255  # characters; the width of the article's two columns
ALPHABETS = (
    "abcdefghijklmnopqrstuvwxyz",
    "àâçéèêëîïôûüÿñæœßøåðþ",
    "абвгдежзийклмнопрстуфхцчшщъыьэюя",
    "αβγδεζηθικλμνξοπρστυφχψω",
    "אבגדהוזחטיכלמנסעפצקרשת",
    "ابتثجحخدذرزسشصضطظعغفقكلمنهوي",
    "अआइईउऊकखगघचछजझटठडढणतथदधन",
    "กขคงจฉชซญฎฏฐณดตถทธนบปผฝพ",
    "张王李赵陈杨黄周吴徐孙马朱胡郭何高林",
    "さとうすずきたかはしワタナベ",
    "김이박최정강조윤장임한오서신권황안",
    "👩‍🍳🧑🏽‍🍳🍜🥐🌶️🔪𝔊𝕠𝓻𝒹𝑜𝓃𐍈𒀀",
    "'\"`;--\\%_/*\x01\t {}[]<>&$#@!?=+|~^",
)


def generate(count: int, seed: int = 0) -> Iterator[dict[str, str]]:
    """`count` request bodies, the same for the same seed; one in fifty leaves a name to its default."""
    rng = random.Random(seed)  # noqa: S311  # test data
    for number in range(count):
        chef = {"firstName": name(rng), "lastName": name(rng)}
        if number % 50 == 0:
            chef.pop(rng.choice(("firstName", "lastName")))
        yield chef


def name(rng: random.Random, longest: int = LONGEST) -> str:
    """A name of at most `longest` characters; one in fifty has that many."""
    length = longest if rng.random() < 0.02 else rng.randint(1, min(24, longest))  # noqa: PLR2004  # one in fifty
    alphabet = rng.choice(ALPHABETS)
    return "".join(rng.choice(alphabet) for _ in range(length))[:longest]
