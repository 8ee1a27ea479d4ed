# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The charts of the report. No information is in colour alone: lines differ in their dashes and are labelled."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from . import svg, words
from .view import KeyFigure, Phase

# Widths in pixels: on a desktop, on a phone, and of one of several charts side by side.
WIDE, NARROW, SMALL = 1040, 350, 330


class Series(NamedTuple):
    """Throughput over time: tokens per second and running requests, by interval."""

    interval_s: float
    rates: list[float]
    running: list[float]
    estimated: bool


class Request(NamedTuple):
    """One completed request; times in seconds, C(start) since the first one."""

    start: float
    ttft: float
    latency: float
    tokens: int

    @property
    def tpot(self) -> float | None:
        """Seconds per token after the first."""
        return (self.latency - self.ttft) / (self.tokens - 1) if self.tokens > 1 else None


def requests_of(client: Mapping[str, Any]) -> list[Request]:
    """Return the completed requests in the order of their start."""
    latencies = client.get("e2els") or client.get("latencies") or []
    columns = (client.get("start_times") or [], client.get("ttfts") or [], latencies, client.get("output_lens") or [])
    completed = sorted(row for row in zip(*columns, strict=False) if row[3])
    first = completed[0][0] if completed else 0.0
    return [Request(start - first, ttft, latency, tokens) for start, ttft, latency, tokens in completed]


def series_of(client: Mapping[str, Any]) -> Series | None:
    """Return the throughput over time, as recorded, or else estimated from the start and end of requests."""
    recorded = client.get("series")
    if recorded and recorded.get("output_tokens") and recorded.get("interval_s"):
        interval = float(recorded["interval_s"])
        rates = [tokens / interval for tokens in recorded["output_tokens"]]
        return Series(interval, rates, [float(count) for count in recorded.get("running") or []], False)
    requests = requests_of(client)
    if not requests:
        return None
    end = max(request.start + request.latency for request in requests)
    interval = svg.nice_step(end / 120) if end > 0 else 1.0
    tokens = [0.0] * (math.floor(end / interval) + 1)
    seconds = [0.0] * len(tokens)
    for request in requests:
        first_token, finished = request.start + request.ttft, request.start + request.latency
        tokens[int(first_token / interval)] += 1
        _spread(tokens, interval, first_token, finished, request.tokens - 1)
        _spread(seconds, interval, request.start, finished, request.latency)
    rates = [count / interval for count in tokens]
    rates[-1] *= interval / max(end - (len(tokens) - 1) * interval, interval / 4)
    return Series(interval, rates, [busy / interval for busy in seconds], True)


def _spread(bins: list[float], interval: float, start: float, end: float, amount: float) -> None:
    """Add C(amount), evenly spread from C(start) to C(end), to the bins."""
    if end <= start:
        bins[min(int(end / interval), len(bins) - 1)] += amount
        return
    for index in range(int(start / interval), min(int(end / interval), len(bins) - 1) + 1):
        overlap = min(end, (index + 1) * interval) - max(start, index * interval)
        bins[index] += amount * max(overlap, 0.0) / (end - start)


# --- one run ---


def throughput(
    series: Series, steady: float | None, interval: float | None, published: float | None, width: float = WIDE
) -> Markup:
    """Draw output tokens per second over time, and the running requests below."""
    narrow = width < 600
    height, strip, head = (320, 44, 60) if narrow else (340, 56, 34)
    bottom = height - 60 - (strip + 22 if series.running else 0)
    end = series.interval_s * len(series.rates)
    top = svg.nice_ceiling(max([*series.rates, steady or 0, published or 0]))
    x = svg.Scale(0, end, 58, width - (14 if narrow else 190))
    y = svg.Scale(0, top, bottom, head)
    frame = svg.Frame(x, y)
    parts = [svg.axes(frame, "seconds", "output tokens / s", x.ticks(5 if narrow else 10), y.ticks(5))]
    if steady and interval:
        parts.append(
            svg.rect(
                x.start,
                y(steady + interval),
                x.end - x.start,
                y(max(steady - interval, 0)) - y(steady + interval),
                "band",
            )
        )
    outline: list[tuple[float, float]] = []
    for index, rate in enumerate(series.rates):
        outline += [(x(index * series.interval_s), y(rate)), (x((index + 1) * series.interval_s), y(rate))]
    close = f"V{svg.coordinate(y(0))}H{svg.coordinate(x(0))}Z"
    parts += [svg.polyline(outline, "area", close), svg.polyline(outline, "measured")]
    marks = [
        (value, name, class_)
        for value, name, class_ in (
            (steady, f"steady {words.figure(steady)}", "steady"),
            (published, f"published {words.figure(published)}", "published"),
        )
        if value
    ]
    heights = svg.spread([y(value) for value, _name, _class in marks], 16, head, bottom)
    for (value, name, class_), label_y in zip(marks, heights, strict=True):
        parts.append(svg.line(x.start, y(value), x.end, y(value), class_))
        if narrow:
            continue
        parts.append(svg.text(x.end + 10, label_y + 4, name, class_=f"label {class_}-text"))
    if narrow:
        for index, (_value, name, class_) in enumerate(marks):
            parts.append(svg.line(170 * index, 10, 170 * index + 24, 10, class_))
            parts.append(svg.text(170 * index + 32, 14, name, class_="label"))
    if series.running:
        parts.append(_running(series, x, height - 26 - strip, height - 26, narrow))
    low, high = min(series.rates), max(series.rates)
    description = (
        f"Output tokens per second over {end:.0f} seconds, between {words.figure(low)} and {words.figure(high)}."
        + "".join(f" {name[0].upper()}{name[1:]} tokens per second." for _value, name, _class in marks)
    )
    return svg.chart(
        f"throughput-{width:.0f}", "Throughput over time", description, width, height, *parts, class_=_class(width)
    )


def _running(series: Series, x: svg.Scale, top: float, bottom: float, narrow: bool) -> Markup:
    peak = max(series.running) or 1.0
    y = svg.Scale(0, peak, bottom, top)
    outline: list[tuple[float, float]] = []
    for index, count in enumerate(series.running):
        outline += [(x(index * series.interval_s), y(count)), (x((index + 1) * series.interval_s), y(count))]
    close = f"V{svg.coordinate(bottom)}H{svg.coordinate(x(0))}Z"
    label = f"up to {peak:.0f} requests under way"
    return Markup("").join(
        [
            svg.polyline(outline, "area quiet", close),
            svg.line(x.start, bottom, x.end, bottom, "axis"),
            svg.text(x.end, bottom + 16, label, "end", "tick")
            if narrow
            else svg.text(x.end + 10, top + 14, label, class_="tick"),
        ]
    )


class Mark(NamedTuple):
    """A figure to be marked on a distribution."""

    name: str
    value: float
    class_: str


def distribution(name: str, title: str, values: Sequence[float], marks: Sequence[Mark], unit: str) -> Markup:
    """Draw the cumulative share of requests by value, with named marks.

    A mark far beyond all values is drawn at the right edge with an arrow, so that it does not squeeze the curve.
    """
    ordered = sorted(values)
    width, left, right, top, bottom = SMALL, 40.0, SMALL - 14.0, 40.0, 190.0
    near = [mark.value for mark in marks if mark.value <= 1.5 * ordered[-1]]
    low, high = min([ordered[0], *near]), max([ordered[-1], *near])
    pad = 0.06 * (high - low or high or 1.0)
    x = svg.Scale(max(0.0, low - pad), high + pad, left, right)
    y = svg.Scale(0, 100, bottom, top)
    frame = svg.Frame(x, y)
    parts = [svg.axes(frame, unit, "% of requests", x.ticks(5), [0, 25, 50, 75, 100])]
    points = [(x.start, y(0))]
    for index, value in enumerate(ordered):
        point = (x(value), y(100 * (index + 1) / len(ordered)))
        if len(points) > 1 and point[0] - points[-1][0] < 0.7:
            points[-1] = (points[-1][0], point[1])  # too close to be distinguished: merge with the previous point
        else:
            points.append(point)
    points.append((x.end, y(100)))
    parts.append(svg.steps(points, "measured"))
    legend_y = bottom + 54
    for index, mark in enumerate(marks):
        beyond = mark.value > x.high
        at = x.end if beyond else x(mark.value)
        parts.append(svg.line(at, y(0), at, y(100), mark.class_))
        parts.append(svg.line(left, legend_y + 18 * index - 4, left + 26, legend_y + 18 * index - 4, mark.class_))
        label = f"{mark.name} {words.figure(mark.value)} {unit}" + (", off the scale" if beyond else "")
        parts.append(svg.text(left + 34, legend_y + 18 * index, label, class_="label"))
    described = ", ".join(f"{mark.name} {words.figure(mark.value)} {unit}" for mark in marks)
    extremes = f"from {words.figure(ordered[0])} to {words.figure(ordered[-1])} {unit}"
    description = f"Distribution over {len(ordered)} requests, {extremes}; {described}."
    height = legend_y + 18 * len(marks) - 8
    return svg.chart(f"cdf-{name}", title, description, width, height, *parts)


def distributions(client: Mapping[str, Any], published: Mapping[str, float]) -> list[tuple[str, Markup]]:
    """Return title and chart of the distributions of TTFT, TPOT and end-to-end latency."""
    requests = requests_of(client)
    found = [
        ("ttft", "Time to first token", "ms", [1000 * request.ttft for request in requests]),
        (
            "tpot",
            "Time per output token",
            "ms",
            [1000 * request.tpot for request in requests if request.tpot is not None],
        ),
        ("e2el", "End-to-end latency", "s", [request.latency for request in requests]),
    ]
    drawn = []
    for name, title, unit, values in found:
        if len(values) < 2:
            continue
        marks = [Mark("mean", statistics.fmean(values), "mean"), Mark("P99", percentile(values, 99), "p99")]
        factor = 1000 if unit == "s" else 1
        for key, label in ((f"mean_{name}_ms", "published mean"), (f"p99_{name}_ms", "published P99")):
            if key in published:
                marks.append(Mark(label, published[key] / factor, "published" if "mean" in key else "published p99"))
        drawn.append((title, distribution(name, title, values, marks, unit)))
    return drawn


def percentile(values: Sequence[float], share: float) -> float:
    """Return a percentile as the client computes it, by linear interpolation."""
    ordered = sorted(values)
    position = (len(ordered) - 1) * share / 100
    low = math.floor(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


def acceptance(rows: Sequence[tuple[str, float, list[float]]]) -> Markup | None:
    """Draw the share of accepted drafts by position: the random run filled, real texts hatched."""
    shown = [row for row in rows if row[2]][:2]
    if not shown:
        return None
    positions = max(len(rates) for _name, _length, rates in shown)
    width, left, top, bottom = SMALL + 30.0, 44.0, 40.0, 190.0
    x = svg.Scale(0, positions, left, width - 10)
    y = svg.Scale(0, 115, bottom, top)  # room for the figure above a full bar
    frame = svg.Frame(x, y)
    parts = [svg.axes(frame, "position of the draft token", "% accepted", [], [0, 25, 50, 75, 100])]
    slot = (x.end - x.start) / positions
    bar_width = min(40.0, slot * 0.7 / len(shown))
    for position in range(positions):
        centre = x(position + 0.5)
        parts.append(svg.text(centre, bottom + 18, str(position + 1), "middle", "tick"))
        for index, (name, _length, rates) in enumerate(shown):
            if position >= len(rates):
                continue
            share = 100 * rates[position]
            at = centre + (index - len(shown) / 2) * bar_width
            title = f"{name}, position {position + 1}: {share:.1f} %"
            parts.append(svg.rect(at + 1, y(share), bar_width - 2, bottom - y(share), f"bar fill{index}", title))
            parts.append(svg.text(at + bar_width / 2, y(share) - 5, f"{share:.0f}", "middle", "tick"))
    for index, (name, _length, _rates) in enumerate(shown):
        parts.append(svg.rect(left + 150 * index, bottom + 46, 14, 12, f"bar fill{index}"))
        parts.append(svg.text(left + 150 * index + 21, bottom + 56, name, class_="label"))
    described = "; ".join(
        f"{name}: " + ", ".join(f"position {index + 1} {100 * rate:.1f} %" for index, rate in enumerate(rates))
        for name, _length, rates in shown
    )
    return svg.chart("acceptance", "Accepted draft tokens by position", described, width, bottom + 64, *parts)


def startup(phases: Sequence[Phase], width: float = WIDE) -> Markup | None:
    """Draw the phases of the start as one bar. Long ones are labelled with their number in the list beside it."""
    total = sum(phase.seconds or 0 for phase in phases)
    if not total:
        return None
    x = svg.Scale(0, total, 0, width)
    parts, at = [], 0.0
    for index, phase in enumerate(phases):
        if not phase.seconds:
            continue
        start, at = x(at), at + phase.seconds
        title = f"{index + 1}. {phase.title}: {words.duration(phase.seconds)}"
        parts.append(svg.rect(start + 0.5, 4, x(at) - start - 1, 36, f"bar phase{index % 2}", title))
        if x(at) - start > 22:
            parts.append(svg.text((start + x(at)) / 2, 27, str(index + 1), "middle", "phase-number"))
    described = ", ".join(f"{phase.title} {words.duration(phase.seconds)}" for phase in phases if phase.seconds)
    return svg.chart(f"startup-{width:.0f}", "Phases of the start", described, width, 44, *parts, class_=_class(width))


def bullet(found: KeyFigure) -> Markup | None:
    """Draw a figure as a bar, with a tall tick at the published value and a dashed one at the limit."""
    if found.value is None or (found.target is None and found.limit is None):
        return None
    width = 200.0
    x = svg.Scale(0, 1.12 * max(found.value, found.target or 0, found.limit or 0), 0, width)
    parts = [svg.rect(0, 6, width, 10, "track"), svg.rect(0, 6, x(found.value), 10, "bar fill0")]
    if found.target is not None:
        parts.append(svg.line(x(found.target), 1, x(found.target), 21, "published solid"))
    if found.limit is not None and found.limit != found.target:
        parts.append(svg.line(x(found.limit), 2, x(found.limit), 20, "limit"))
    limit = f", limit {words.figure(found.limit)}" if found.limit is not None and found.target is not None else ""
    described = f"{found.figure} {found.unit}, {found.reference}{limit}"
    return svg.chart(
        f"bullet-{found.metric.replace('_', '-')}", found.title, described, width, 22, *parts, class_="bullet"
    )


def both(draw: Callable[[float], Markup | None]) -> Markup:
    """Return a chart for wide screens and one for phones; the style sheet shows one of them."""
    return Markup("").join(drawing for width in (WIDE, NARROW) if (drawing := draw(width)))


def _class(width: float) -> str:
    return "narrow" if width < 600 else "wide"


# --- many runs ---


class Point(NamedTuple):
    """A point of a sweep or of a history."""

    x: float
    y: float
    label: str
    shape: int = 0
    special: str = ""


def symbol(point_x: float, point_y: float, shape: int, class_: str, title: str = "") -> Markup:
    """Draw one of four symbols, which distinguish groups without colour."""
    size = 5.0
    if shape % 4 == 0:
        d = f"M{svg.coordinate(point_x - size)} {svg.coordinate(point_y)}a5 5 0 1 0 10 0a5 5 0 1 0 -10 0"
    else:
        corners = {
            1: ((-1, -1), (1, -1), (1, 1), (-1, 1)),
            2: ((0, -1.35), (1.35, 0), (0, 1.35), (-1.35, 0)),
            3: ((0, -1.25), (1.2, 1), (-1.2, 1)),
        }[shape % 4]
        d = (
            "M"
            + "L".join(f"{svg.coordinate(point_x + size * x)} {svg.coordinate(point_y + size * y)}" for x, y in corners)
            + "Z"
        )
    children = [svg.element("title", title)] if title else []
    return svg.element("path", *children, d=d, class_=class_)


def front(points: Sequence[Point], x_title: str, name: str, screen: float = WIDE) -> Markup:
    """Draw throughput against a latency, with a point for each setting; the recipe's own point is ringed.

    A line connects the points of the same shape, which are those of one server. If there is no room for names, the
    points are numbered and the names are listed below.
    """
    width = min(screen, 500.0)
    left, right, top, bottom = 58.0, width - 20.0, 40.0, 300.0
    x = svg.Scale(0, svg.nice_ceiling(1.08 * max(point.x for point in points)), left, right)
    y = svg.Scale(0, svg.nice_ceiling(1.05 * max(point.y for point in points)), bottom, top)
    frame = svg.Frame(x, y)
    parts = [svg.axes(frame, x_title, "output tokens / s", x.ticks(5), y.ticks(5))]
    ordered = sorted(points)
    for shape in dict.fromkeys(point.shape for point in ordered):
        own = [(x(point.x), y(point.y)) for point in ordered if point.shape == shape]
        if len(own) > 1:
            parts.append(svg.polyline(own, "steady"))
    names = [f"{point.label} ({point.special})" if point.special else point.label for point in ordered]
    has_room = all(
        x(point.x) <= right - 8 * len(name) or x(point.x) >= left + 14 + 7 * len(name)
        for point, name in zip(ordered, names, strict=True)
    )
    labels = names if has_room else [str(number) for number in range(1, len(names) + 1)]
    label_heights = svg.spread([y(point.y) + 8 for point in ordered], 15, top, bottom - 12)
    for point, label, label_y in zip(ordered, labels, label_heights, strict=True):
        title = f"{point.label}: {words.figure(point.y)} tok/s at {words.figure(point.x)} {x_title}"
        if point.special:
            parts.append(svg.element("circle", cx=x(point.x), cy=y(point.y), r=10, class_="ring"))
        parts.append(symbol(x(point.x), y(point.y), point.shape, "point", title))
        # Left of the last point of the line, right of all others.
        leftward = x(point.x) > right - 8 * len(label)
        at = x(point.x) - 14 if leftward else x(point.x) + 14
        parts.append(
            svg.text(at, label_y - 8 if leftward else label_y + 4, label, "end" if leftward else "start", "label")
        )
    height = bottom + 44
    for number, named in enumerate([] if has_room else names, 1):
        height += 18
        parts.append(svg.text(0, height - 4, f"{number}: {named}", class_="label"))
    described = "; ".join(f"{point.label}: {words.figure(point.y)} tok/s, {words.figure(point.x)}" for point in ordered)
    title = f"Throughput against {x_title}"
    return svg.chart(f"front-{name}-{screen:.0f}", title, described, width, height, *parts, class_=_class(screen))


def trend(name: str, title: str, unit: str, points: Sequence[Point], reference: float | None) -> Markup:
    """Draw a figure over successive runs, equally spaced, the best one ringed; C(reference) is the published figure."""
    left, right, top, bottom = 52.0, SMALL - 16.0, 40.0, 170.0
    values = [point.y for point in points] + ([reference] if reference else [])
    low, high = min(values), max(values)
    pad = 0.15 * (high - low) or 0.1 * abs(high) or 1.0
    x = svg.Scale(0, max(len(points) - 1, 1), left + 10, right - 10)
    y = svg.Scale(max(0.0, low - pad), high + pad, bottom, top)
    frame = svg.Frame(svg.Scale(0, 1, left, right), y)
    parts = [svg.axes(frame, "runs, oldest first", unit, [], y.ticks(4))]
    if reference:
        parts.append(svg.line(left, y(reference), right, y(reference), "published"))
        label = f"published {words.figure(reference)}"
        dash = right - 7 * len(label) - 10
        parts.append(svg.line(dash - 24, top - 16, dash, top - 16, "published"))
        parts.append(svg.text(right, top - 12, label, "end", "tick"))
    for shape in dict.fromkeys(point.shape for point in points):
        own = [(x(point.x), y(point.y)) for point in points if point.shape == shape]
        if len(own) > 1:
            parts.append(svg.polyline(own, "faint"))
    for point in points:
        if point.special:
            parts.append(svg.element("circle", cx=x(point.x), cy=y(point.y), r=10, class_="ring"))
        parts.append(
            symbol(x(point.x), y(point.y), point.shape, "point", f"{point.label}: {words.figure(point.y)} {unit}")
        )
    described = "; ".join(f"{point.label}: {words.figure(point.y)} {unit}" for point in points)
    return svg.chart(f"trend-{name}", title, described, SMALL, bottom + 44, *parts)
