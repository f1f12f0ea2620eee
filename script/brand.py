"""Draws the brand images: a chip that gets its new firmware in the night, and a tick because it was proven.

Everything is drawn four times too large and made smaller at the end, which is what makes the edges smooth.
"""

import math
import sys
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

SIZE = 256
SMOOTH = 4


@dataclass(frozen=True)
class Palette:
    """Colours for one background: the chip runs from `top` to `bottom`."""

    top: tuple[int, int, int]
    bottom: tuple[int, int, int]
    pins: tuple[int, int, int]
    moon: tuple[int, int, int]
    tick: tuple[int, int, int]
    text: tuple[int, int, int]


LIGHT = Palette((49, 65, 166), (24, 31, 84), (92, 108, 190), (255, 214, 102), (88, 214, 141), (32, 40, 102))
DARK = Palette((86, 106, 224), (44, 56, 140), (148, 162, 240), (255, 220, 120), (110, 231, 160), (226, 231, 255))


def gradient(size: int, palette: Palette) -> Image.Image:
    """A square whose colour runs from top to bottom."""
    column = Image.new("RGB", (1, size))
    for y in range(size):
        share = y / (size - 1)
        shade = [round(a + (b - a) * share) for a, b in zip(palette.top, palette.bottom, strict=True)]
        column.putpixel((0, y), (shade[0], shade[1], shade[2]))
    return column.resize((size, size))


def pins(draw: ImageDraw.ImageDraw, unit: float, palette: Palette) -> None:
    """Four pins on each side of the chip."""
    long, wide, edge = 3.2 * unit, 2.2 * unit, 32 * unit
    for place in (8.9, 13.6, 18.4, 23.1):
        at = place * unit
        for left, top, right, bottom in (
            (at - wide / 2, 0, at + wide / 2, long * 2),
            (at - wide / 2, edge - long * 2, at + wide / 2, edge),
            (0, at - wide / 2, long * 2, at + wide / 2),
            (edge - long * 2, at - wide / 2, edge, at + wide / 2),
        ):
            draw.rounded_rectangle((left, top, right, bottom), radius=wide / 2, fill=palette.pins)


def moon(size: int, unit: float, palette: Palette) -> Image.Image:
    """A crescent: a disc with another one taken out of it."""
    shape = Image.new("L", (size, size))
    draw = ImageDraw.Draw(shape)
    draw.ellipse((8.6 * unit, 7.2 * unit, 22.8 * unit, 21.4 * unit), fill=255)
    draw.ellipse((12.9 * unit, 5.0 * unit, 26.3 * unit, 18.4 * unit), fill=0)
    crescent = Image.new("RGBA", (size, size), (*palette.moon, 255))
    crescent.putalpha(shape)
    return crescent


def star(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, palette: Palette) -> None:
    """A small star with four points."""
    points = []
    for corner in range(8):
        length = radius if corner % 2 == 0 else radius * 0.34
        angle = math.pi / 4 * corner
        points.append((x + length * math.sin(angle), y - length * math.cos(angle)))
    draw.polygon(points, fill=palette.moon)


def tick(draw: ImageDraw.ImageDraw, unit: float, palette: Palette) -> None:
    """The tick in the lower right, with round ends."""
    points = [(15.4 * unit, 22.0 * unit), (18.3 * unit, 24.9 * unit), (25.0 * unit, 17.4 * unit)]
    width = 2.6 * unit
    draw.line(points, fill=palette.tick, width=round(width), joint="curve")
    for x, y in points:
        draw.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=palette.tick)


def icon(size: int, palette: Palette) -> Image.Image:
    """The icon: everything on a grid of 32 by 32 units."""
    large = size * SMOOTH
    unit = large / 32
    picture = Image.new("RGBA", (large, large), (0, 0, 0, 0))
    pins(ImageDraw.Draw(picture), unit, palette)
    body = Image.new("L", (large, large))
    ImageDraw.Draw(body).rounded_rectangle(
        (3.2 * unit, 3.2 * unit, 28.8 * unit, 28.8 * unit), radius=5 * unit, fill=255
    )
    picture.paste(gradient(large, palette), mask=body)
    picture.alpha_composite(moon(large, unit, palette))
    draw = ImageDraw.Draw(picture)
    star(draw, 21.6 * unit, 9.0 * unit, 1.9 * unit, palette)
    star(draw, 24.6 * unit, 13.2 * unit, 1.2 * unit, palette)
    tick(draw, unit, palette)
    return picture.resize((size, size), Image.Resampling.LANCZOS)


def logo(size: int, palette: Palette) -> Image.Image:
    """The icon with the name beside it."""
    font = ImageFont.load_default(size * 0.42)
    words = "Firmware Hub"
    left, top, right, bottom = font.getbbox(words)
    gap = size * 0.12
    picture = Image.new("RGBA", (math.ceil(size + gap + right - left + gap), size), (0, 0, 0, 0))
    picture.paste(icon(size, palette))
    at = (size + gap - left, (size - (bottom - top)) / 2 - top)
    ImageDraw.Draw(picture).text(
        at, words, font=font, fill=palette.text, stroke_width=size / 128, stroke_fill=palette.text
    )
    return picture


def main(folder: Path) -> None:
    """Write all images that Home Assistant asks for."""
    folder.mkdir(parents=True, exist_ok=True)
    for prefix, palette in (("", LIGHT), ("dark_", DARK)):
        for suffix, scale in (("", 1), ("@2x", 2)):
            icon(SIZE * scale, palette).save(folder / f"{prefix}icon{suffix}.png", optimize=True)
            logo(SIZE * scale, palette).save(folder / f"{prefix}logo{suffix}.png", optimize=True)
    print(f"drew {len(list(folder.glob('*.png')))} images into {folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
