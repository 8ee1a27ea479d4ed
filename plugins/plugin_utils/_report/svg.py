# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Scales, ticks and elements of inline SVG. Colours and fonts come from the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from markupsafe import Markup


class Scale(NamedTuple):
    """A linear map from figures to coordinates."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        span = self.high - self.low or 1.0
        return self.start + (value - self.low) / span * (self.end - self.start)

    def ticks(self, wanted: int = 5) -> list[float]:
        """Return about C(wanted) round figures within the scale."""
        return ticks(self.low, self.high, wanted)


class Frame(NamedTuple):
    """The two scales of a chart, whose ends are its margins."""

    x: Scale
    y: Scale


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Return about C(wanted) round figures, from C(low) to C(high)."""
    if not high > low:
        return [low]
    step = nice_step((high - low) / wanted)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(index * step, 10) for index in range(first, last + 1)]


def nice_step(raw: float) -> float:
    """Return the smallest of 1, 2, 5, 10, 20, 50, ... (and their tenths) that is at least C(raw)."""
    power = 10.0 ** math.floor(math.log10(raw))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))


def nice_ceiling(value: float) -> float:
    """Return a round figure that is at least C(value), for the end of a scale."""
    if value <= 0:
        return 1.0
    step = nice_step(value / 5)
    return round(math.ceil(value / step - 1e-9) * step, 10)


def tick_text(value: float) -> str:
    """Return a tick's label: 1500 as 1,500 and 0.5 as 0.5."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:g}"


def coordinate(value: float) -> str:
    """Return a coordinate with one decimal at most: finer than a pixel, and short."""
    return f"{round(value, 1) + 0.0:.1f}".removesuffix(".0")


def element(tag: str, *children: str, **attributes: str | float | None) -> Markup:
    """Return an SVG element. Children that are no markup are escaped; C(class_) stands for C(class)."""
    written = Markup("").join(
        Markup(' {}="{}"').format(
            name.rstrip("_").replace("_", "-"), coordinate(value) if isinstance(value, (int, float)) else value
        )
        for name, value in attributes.items()
        if value is not None
    )
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(tag), written, Markup("").join(children))


def text(x: float, y: float, content: str, anchor: str = "start", class_: str | None = None) -> Markup:
    """Return a line of text."""
    return element("text", content, x=x, y=y, text_anchor=None if anchor == "start" else anchor, class_=class_)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """Return a straight line."""
    return element("path", d=f"M{coordinate(x1)} {coordinate(y1)}L{coordinate(x2)} {coordinate(y2)}", class_=class_)


def polyline(points: Iterable[tuple[float, float]], class_: str, close: str = "") -> Markup:
    """Return a line through C(points), closed by the path commands C(close)."""
    d = "M" + "L".join(f"{coordinate(x)} {coordinate(y)}" for x, y in points) + close
    return element("path", d=d, class_=class_)


def steps(points: Sequence[tuple[float, float]], class_: str) -> Markup:
    """Return a staircase: each point's height holds until the next point."""
    (x, y), *others = points
    d = [f"M{coordinate(x)} {coordinate(y)}", *(f"H{coordinate(x)}V{coordinate(y)}" for x, y in others)]
    return element("path", d="".join(d), class_=class_)


def rect(x: float, y: float, width: float, height: float, class_: str, title: str = "") -> Markup:
    """Return a rectangle, with a title for tooltips and screen readers."""
    children = [element("title", title)] if title else []
    return element("rect", *children, x=x, y=y, width=max(width, 0.0), height=max(height, 0.0), class_=class_)


def chart(
    name: str, title: str, description: str, width: float, height: float, *content: str, class_: str = ""
) -> Markup:
    """Return a complete chart, with its title and its description in words. C(name) is unique in the page."""
    return element(
        "svg",
        element("title", title, id=f"{name}-title"),
        element("desc", description, id=f"{name}-desc"),
        *content,
        viewBox=f"0 0 {coordinate(width)} {coordinate(height)}",
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
        class_=f"chart {class_}".strip(),
        style=f"max-width:{coordinate(width)}px",
    )


def axes(frame: Frame, x_title: str, y_title: str, x_ticks: Sequence[float], y_ticks: Sequence[float]) -> Markup:
    """Return grid, labels and titles of both axes; the y title is above its axis, so that it is horizontal."""
    left, right = frame.x.start, frame.x.end
    bottom, top = frame.y.start, frame.y.end
    parts = [line(left, frame.y(value), right, frame.y(value), "grid") for value in y_ticks]
    parts += [text(left - 8, frame.y(value) + 4, tick_text(value), "end", "tick") for value in y_ticks]
    parts += [line(frame.x(value), bottom, frame.x(value), bottom + 4, "axis") for value in x_ticks]
    parts += [text(frame.x(value), bottom + 18, tick_text(value), "middle", "tick") for value in x_ticks]
    parts += [line(left, bottom, right, bottom, "axis")]
    parts += [text(right, bottom + 35, x_title, "end", "tick"), text(0, top - 12, y_title, "start", "tick")]
    return Markup("").join(parts)


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Return positions close to C(wanted) that are at least C(gap) apart, so that labels do not overlap."""
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    placed = [0.0] * len(wanted)
    previous = low - gap
    for index in order:
        placed[index] = previous = max(wanted[index], previous + gap)
    limit = high
    for index in reversed(order):
        placed[index] = min(placed[index], limit)
        limit = placed[index] - gap
    return placed
