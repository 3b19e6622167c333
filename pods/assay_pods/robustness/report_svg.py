"""Plots as inline SVG, made by hand: points with intervals over a rate, one line a method. All text is escaped."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

WIDTH, HEIGHT = 520, 260
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 14, 40
COLOURS = ("#0b62a4", "#b5440e", "#3b7a1e", "#7b3aa5", "#7a5b00", "#555555", "#a01050", "#007878")
DASHES = ("", "6 3", "2 3", "8 3 2 3")


class PlotPoint(NamedTuple):
    """One estimate: where on the axis, the value, and its ends (None where there is no interval)."""

    x: float
    value: float
    low: float | None
    high: float | None


class Line(NamedTuple):
    """One method's points."""

    name: str
    points: Sequence[PlotPoint]


class Axes(NamedTuple):
    """What a plot shows, in words, and the range of its vertical axis."""

    title: str
    x_name: str
    y_name: str
    low: float
    high: float


def plot(axes: Axes, lines: Sequence[Line], identity: str) -> str:
    """One plot with a title and a description for readers who do not see it; the caller puts a table beside it."""
    name = escape(identity, quote=True)
    names = ", ".join(line.name for line in lines)
    said = f"{axes.y_name} against {axes.x_name} for {names}; the tables of this section have all figures."
    body = [*_frame(axes), *(part for place, line in enumerate(lines) for part in _line(axes, line, (place, len(lines))))]
    return (
        f'<svg role="img" aria-labelledby="{name}-t {name}-d" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
        f' xmlns="http://www.w3.org/2000/svg"><title id="{name}-t">{escape(axes.title)}</title><desc id="{name}-d">{escape(said)}</desc>'
        f"{''.join(body)}</svg>{_legend(lines)}"
    )


def _x(value: float) -> float:
    return LEFT + 14 + value * (WIDTH - LEFT - RIGHT - 28)


def _y(axes: Axes, value: float) -> float:
    inside = min(max(value, axes.low), axes.high)
    return TOP + (axes.high - inside) / (axes.high - axes.low) * (HEIGHT - TOP - BOTTOM)


def _frame(axes: Axes) -> list[str]:
    parts: list[str] = []
    steps = 4
    for step in range(steps + 1):
        value = axes.low + (axes.high - axes.low) * step / steps
        y = _y(axes, value)
        heavy = ' stroke="#888"' if abs(value) < 1e-9 else ' stroke="#ddd"'
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"{heavy}/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end" font-size="11">{value:g}</text>')
    for value in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(f'<text x="{_x(value):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle" font-size="11">{value:g}</text>')
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 6}" text-anchor="middle" font-size="12">{escape(axes.x_name)}</text>'
    )
    turned = f'transform="rotate(-90 13 {middle})"'
    parts.append(f'<text x="13" y="{middle}" text-anchor="middle" font-size="12" {turned}>{escape(axes.y_name)}</text>')
    return parts


def _line(axes: Axes, line: Line, place: tuple[int, int]) -> list[str]:
    """The points of one method, a little beside those of the others so that intervals stay apart."""
    number, count = place
    colour, dash = COLOURS[number % len(COLOURS)], DASHES[number % len(DASHES)]
    shift = (number - (count - 1) / 2) * 5
    parts: list[str] = []
    places = [(_x(point.x) + shift, _y(axes, point.value)) for point in line.points]
    if len(places) > 1:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6" stroke-dasharray="{dash}"/>')
    for point, (x, y) in zip(line.points, places, strict=True):
        if point.low is not None and point.high is not None:
            ends = f'y1="{_y(axes, point.low):.1f}" y2="{_y(axes, point.high):.1f}"'
            parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" {ends} stroke="{colour}" stroke-width="1.2"/>')
        words = f"{line.name} at {point.x:g}: {point.value:.3f}"
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.2" fill="{colour}"><title>{escape(words)}</title></circle>')
    return parts


def _legend(lines: Sequence[Line]) -> str:
    entries: list[str] = []
    for number, line in enumerate(lines):
        colour, dash = COLOURS[number % len(COLOURS)], DASHES[number % len(DASHES)]
        mark = f'<line x1="0" x2="26" y1="6" y2="6" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>'
        entries.append(f'<li><svg aria-hidden="true" width="28" height="12">{mark}</svg> {escape(line.name)}</li>')
    return f'<ul class="legend">{"".join(entries)}</ul>'
