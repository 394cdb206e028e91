"""Line charts as SVG text, sharp at any size and without a library."""
import math
from html import escape
from typing import List, Sequence, Tuple

WIDTH, HEIGHT = 640, 240
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 26, 34
MAX_MARKS = 6

Points = Sequence[Tuple[float, float]]


def line_chart(points: Points, x_words: str, y_words: str,
               marks: Sequence[Tuple[float, str]] = ()) -> str:
    """A curve over a grid that starts at zero.

    Colours and fonts come from the page: the classes are 'grid', 'curve' and
    'mark'.

    Args:
        points: The curve; what is not finite is left out.
        x_words: What the x axis shows.
        y_words: What the y axis shows.
        marks: Places on the x axis, each with a word, as vertical lines; at
            most six of them are drawn.
    """
    points = [(x, y) for x, y in points if math.isfinite(y)]
    if not points:
        return '<p>No values were logged.</p>'
    x_end = max(x for x, _ in [*points, *marks])
    x_ticks = ticks(x_end)
    y_ticks = ticks(max(y for _, y in points))

    def place(x, y):
        return (LEFT + x / x_end * (WIDTH - LEFT - RIGHT),
                HEIGHT - BOTTOM
                - y / y_ticks[-1] * (HEIGHT - TOP - BOTTOM))

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
             f'aria-label="{escape(y_words)} over {escape(x_words)}">']
    for y in y_ticks:
        _, height = place(0, y)
        parts += [_line('grid', LEFT, height, WIDTH - RIGHT, height),
                  _text(LEFT - 7, height + 4, f'{y:g}', 'end')]
    for x in x_ticks:
        if x <= x_end:
            parts.append(_text(place(x, 0)[0], HEIGHT - BOTTOM + 17,
                               f'{x:g}', 'middle'))
    parts += [_text(WIDTH - RIGHT, HEIGHT - 2, x_words, 'end'),
              _text(4, 12, y_words, 'start')]
    for x, word in spread(marks, MAX_MARKS):
        across, _ = place(x, 0)
        anchor = 'end' if across > WIDTH - 70 else 'middle'
        parts += [_line('mark', across, TOP, across, HEIGHT - BOTTOM),
                  _text(across, TOP - 6, word, anchor, 'mark')]
    line = ' '.join('{:.1f},{:.1f}'.format(*place(*point))
                    for point in points)
    parts.append(f'<polyline class="curve" points="{line}"/>')
    return '\n'.join(parts + ['</svg>'])


def ticks(top: float, count: int = 5) -> List[float]:
    """Round numbers from 0 to at least ``top``."""
    top = top if top > 0 else 1.
    power = 10 ** math.floor(math.log10(top / count))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10)
                if factor * power * count >= top * (1 - 1e-9))
    return [number * step
            for number in range(math.ceil(top / step - 1e-9) + 1)]


def spread(items: Sequence, count: int) -> list:
    """At most ``count`` of the items, evenly spaced, the last included."""
    if len(items) <= count:
        return list(items)
    return [items[(number + 1) * len(items) // count - 1]
            for number in range(count)]


def _line(kind, x1, y1, x2, y2):
    return (f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" '
            f'x2="{x2:.1f}" y2="{y2:.1f}"/>')


def _text(x, y, words, anchor, kind=''):
    kind = f' class="{kind}"' if kind else ''
    return (f'<text{kind} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
            f'{escape(words)}</text>')
