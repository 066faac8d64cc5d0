"""The tokens: what is written can be read on what it stands on, in light and in dark (WCAG 2.2, 1.4.3 and 1.4.11)."""

import re
from pathlib import Path

import pytest

import api.pages

STATIC = Path(api.pages.__file__).parent / "static"
TOKENS = (STATIC / "tokens.css").read_text()
RULES = "".join(each.read_text() for each in sorted(STATIC.glob("*.css")) if each.name != "tokens.css")
GROUNDS = ("ground", "surface", "sunken")
TEXT = (
    *((ink, ground) for ink in ("ink", "ink-soft", "ink-faint", "accent", "accent-hover", "bad") for ground in GROUNDS),
    *((f"on-{accent}", accent) for accent in ("accent",)),
    ("on-accent", "accent-hover"),
    ("accent", "accent-wash"),
    ("ink", "accent-wash"),
    ("ink-faint", "accent-wash"),
    ("good", "good-wash"),
    ("bad", "bad-wash"),
    ("warn", "warn-wash"),
    *((ink, wash) for ink in ("ink", "ink-soft") for wash in ("good-wash", "bad-wash")),
)
LINES = (
    *((line, ground) for line in ("line-strong", "focus", "new", "gone", "changed") for ground in GROUNDS),
    *((f"chart-{number}", "surface") for number in range(1, 6)),
)


def colours(look: str) -> dict[str, str]:
    """The tokens that are colours; what dark does not say again is as in light."""
    light, dark = TOKENS.split("@media (prefers-color-scheme: dark)")
    found = dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6});", light))
    return found | dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6});", dark)) if look == "dark" else found


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("look", ["light", "dark"])
def test_text_has_four_and_a_half_to_one_and_lines_three(look: str) -> None:
    of = colours(look)
    weak = [
        (one, other, round(contrast(of[one], of[other]), 2))
        for pairs, least in ((TEXT, 4.5), (LINES, 3.0))
        for one, other in pairs
        if contrast(of[one], of[other]) < least
    ]
    assert weak == []


def test_contrast_is_what_the_standard_says() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_only_tokens_name_colours() -> None:
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b|rgba?\(|hsla?\(", RULES) == []


def test_every_token_that_is_used_is_there() -> None:
    used = set(re.findall(r"var\(--([a-z0-9-]+)\)", RULES))
    assert used - set(re.findall(r"--([a-z0-9-]+):", TOKENS)) == set()


def test_motion_can_be_turned_off() -> None:
    assert "prefers-reduced-motion: reduce" in TOKENS
    assert not re.findall(r"\banimation\b", RULES)
