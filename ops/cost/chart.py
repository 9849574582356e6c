"""The chart docs/costs.svg: what each path costs from one to ten billion reads a month, both axes logarithmic."""

from __future__ import annotations

import html
import math

from .paths import DECADES, PATHS, READ_COUNTS, BreakEven, break_evens
from .prices import PriceList

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 960, 600, 70, 210, 64, 56
LOWEST, HIGHEST = -2, 5
"""The powers of ten of the dollars at both ends of the axis."""

COLOURS = ("#1b7f5c", "#7a9a01", "#4878a8", "#c0392b", "#e0a030", "#6b4c9a", "#555555")
DASHES = ("", "6 3", "", "", "6 3", "2 4", "")

COUNTS = ("1", "10", "100", "1,000", "10,000", "100,000", "1 M", "10 M", "100 M", "1 billion", "10 billion")


def _x(reads: float) -> float:
    return LEFT + math.log10(reads) / DECADES * (WIDTH - LEFT - RIGHT)


def _y(usd: float) -> float:
    part = (math.log10(usd) - LOWEST) / (HIGHEST - LOWEST)
    return HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM)


def _spread(places: list[float], gap: float) -> list[float]:
    """Return sorted places so that each is at least a gap below the one before."""
    spread: list[float] = []
    for place in places:
        spread.append(max(place, spread[-1] + gap) if spread else place)
    return spread


def chart(prices: PriceList, *, free_tier: bool = False) -> str:
    """Return the chart as the text of an SVG file. A line begins at one cent."""
    tier = "with" if free_tier else "without"
    title = "What a path costs in a month"
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
            f'font-size="12" role="img" aria-label="{title}, from one to ten billion reads">'
        ),
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="24" font-size="16">{title}: reads of 1 KB, one Region</text>',
        (
            f'<text x="{LEFT}" y="44" fill="#555">List prices of {prices.region}, {prices.date}, with volume '
            f"discounts, {tier} the free tier. A ring: two paths cost the same.</text>"
        ),
    ]
    for power in range(DECADES + 1):
        x = _x(10**power)
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="#e4e4e4"/>')
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{COUNTS[power]}</text>')
    for power in range(LOWEST, HIGHEST + 1):
        y = _y(10.0**power)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e4e4e4"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{10.0**power:,.10g} $</text>')
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 14}" text-anchor="middle">reads in a month</text>'
    )
    ends = []
    for path, colour, dash in zip(PATHS, COLOURS, DASHES, strict=True):
        points = [(reads, path.cost(reads, prices, free_tier=free_tier)) for reads in READ_COUNTS]
        visible_points = [(reads, usd) for reads, usd in points if 10.0**LOWEST <= usd <= 10.0**HIGHEST]
        line = " ".join(f"{_x(reads):.1f},{_y(usd):.1f}" for reads, usd in visible_points)
        style = f' stroke-dasharray="{dash}"' if dash else ""
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"{style}/>')
        ends.append((_y(min(points[-1][1], 10.0**HIGHEST)), points[-1][1], path.name, colour))
    ends.sort()
    for place, (_, usd, name, colour) in zip(_spread([end[0] for end in ends], 17), ends, strict=True):
        label = html.escape(f"{name}, {usd:,.0f} $")
        parts.append(f'<text x="{WIDTH - RIGHT + 8}" y="{place + 4:.1f}" fill="{colour}">{label}</text>')
    paths = {path.name: path for path in PATHS}
    for point in break_evens(prices, free_tier=free_tier):
        usd = paths[point.cheaper].cost(point.reads, prices, free_tier=free_tier)
        if usd >= 10.0**LOWEST:
            parts.append(f'<circle cx="{_x(point.reads):.1f}" cy="{_y(usd):.1f}" r="4" fill="white" stroke="#222"/>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def reads_text(reads: float) -> str:
    """Return a number of reads with three digits, such as `24.5 million`."""
    digits = round(reads, 2 - math.floor(math.log10(reads)))
    for size, word in ((1e9, " billion"), (1e6, " million")):
        if digits >= size:
            return f"{digits / size:g}{word}"
    return f"{digits:,.0f}" if digits >= 10 else f"{digits:g}"


def sentence(point: BreakEven) -> str:
    """Return a break-even point as text."""
    return f"From {reads_text(point.reads)} reads a month, {point.cheaper} costs less than {point.dearer}."
