"""The chart of a failover drill: an SVG of what the client saw in each second."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ops.cli.drill_client import WRITE, Sample
from ops.cli.drill_report import LATE_SECONDS, Report, is_failed

WIDTH, PANEL, LEFT, TOP, GAP = 900, 150, 60, 70, 55
GOOD, CACHED, LATE, FAILED, AWAY = "#4878a8", "#9dbcd8", "#e0a030", "#c0392b", "#f2e6e4"


class Band(NamedTuple):
    """One colour of a panel's bars: its name, its colour, and which samples it counts."""

    name: str
    colour: str
    counts: Callable[[Sample], bool]


def _is_late(sample: Sample) -> bool:
    return not is_failed(sample) and sample.seconds > LATE_SECONDS


READS = (
    Band("from the cache", CACHED, lambda s: not is_failed(s) and not _is_late(s) and s.cache == "Hit"),
    Band("from an origin", GOOD, lambda s: not is_failed(s) and not _is_late(s) and s.cache != "Hit"),
    Band(f"later than {LATE_SECONDS:g} s", LATE, _is_late),
    Band("failed", FAILED, is_failed),
)
WRITES = (
    Band("accepted", GOOD, lambda s: s.status == 202),
    Band("without a 202", FAILED, lambda s: s.status != 202),
)


def chart(report: Report, samples: Sequence[Sample]) -> str:
    """Return the chart as the text of an SVG file. Each sample counts in the second in which its response arrived."""
    seconds = max(1, math.ceil(report.seconds))
    step = (WIDTH - LEFT - 20) / seconds
    height = TOP + 2 * (PANEL + GAP)
    title = f"Failover drill of {report.stack}: {report.plan.fault}"
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
            f'font-size="12" role="img" aria-label="{html.escape(title)}">'
        ),
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="{LEFT}" y="24" font-size="16">{html.escape(title)}</text>',
        f'<text x="{LEFT}" y="42" fill="#555">Responses in each second. Shaded: the primary Region is away.</text>',
    ]
    kinds = ((READS, "document reads", False), (WRITES, "writes, each attempt", True))
    for number, (bands, name, writes) in enumerate(kinds):
        top = TOP + number * (PANEL + GAP)
        chosen = [sample for sample in samples if (sample.kind == WRITE) == writes]
        parts += _shades(report, top, step, seconds)
        parts += _panel(chosen, bands, name, top, step, seconds)
    if report.failover is not None and report.away:
        x = LEFT + (report.away[0].start + report.failover) * step
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{TOP + PANEL}" stroke="#222" stroke-dasharray="4"/>'
        )
        parts.append(f'<text x="{x + 4:.1f}" y="{TOP - 4}" font-size="11">failover point</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _shades(report: Report, top: int, step: float, seconds: int) -> list[str]:
    shades = []
    for start, end in report.away:
        width = ((seconds if end is None else end) - start) * step
        x = LEFT + start * step
        shades.append(f'<rect x="{x:.1f}" y="{top}" width="{width:.1f}" height="{PANEL}" fill="{AWAY}"/>')
    return shades


def _panel(
    samples: Sequence[Sample], bands: Sequence[Band], name: str, top: int, step: float, seconds: int
) -> list[str]:
    counts = [[0] * seconds for _ in bands]
    for sample in samples:
        second = min(seconds - 1, int(sample.ended))
        for band, row in zip(bands, counts, strict=True):
            row[second] += band.counts(sample)
    highest = max(1, *(sum(column) for column in zip(*counts, strict=True)))
    parts = [f'<text x="{LEFT}" y="{top + PANEL + 34}">{name}:</text>']
    x = LEFT + 130.0
    for band in bands:
        parts.append(f'<rect x="{x:.0f}" y="{top + PANEL + 24}" width="12" height="12" fill="{band.colour}"/>')
        parts.append(f'<text x="{x + 17:.0f}" y="{top + PANEL + 34}">{band.name}</text>')
        x += 40 + 7 * len(band.name)
    for second in range(seconds):
        bottom = float(top + PANEL)
        for band, row in zip(bands, counts, strict=True):
            size = row[second] / highest * PANEL
            bottom -= size
            if size:
                parts.append(
                    f'<rect x="{LEFT + second * step:.1f}" y="{bottom:.1f}" width="{max(0.5, step - 0.5):.1f}" '
                    f'height="{size:.1f}" fill="{band.colour}"/>'
                )
    base = top + PANEL
    parts.append(f'<line x1="{LEFT}" x2="{WIDTH - 20}" y1="{base}" y2="{base}" stroke="#222"/>')
    parts.append(f'<text x="{LEFT - 6}" y="{top + 10}" text-anchor="end">{highest}</text>')
    parts.append(f'<text x="{LEFT - 6}" y="{base}" text-anchor="end">0</text>')
    every = max(1, round(seconds / 8))
    parts += [
        f'<text x="{LEFT + second * step:.1f}" y="{base + 16}" text-anchor="middle">{second} s</text>'
        for second in range(0, seconds + 1, every)
    ]
    return parts
