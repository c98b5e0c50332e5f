"""The contrast of a page's texts as it was painted: read from the pixels of its picture, not from its CSS."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass

from playwright.sync_api import Browser

from streamnotify.render.colours import contrast

_SHARPNESS = 2  # so that letters have pixels that are all ink
_TEXTS = """() => {
  const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const range = document.createRange(), node = walker.currentNode, words = node.data.trim();
    range.setStart(node, node.data.indexOf(words));
    range.setEnd(node, node.data.indexOf(words) + words.length);
    for (const {x, y, width, height} of range.getClientRects())
      if (width > 4 && height > 4) found.push([words, x, y, width, height]);
  }
  return found;
}"""
_COLOURS = """async ([png, texts, sharpness]) => {
  const image = new Image();
  image.src = "data:image/png;base64," + png;
  await image.decode();
  const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
  const paper = canvas.getContext("2d", {willReadFrequently: true});
  paper.drawImage(image, 0, 0);
  return texts.map(([words, ...box]) => {
    const counts = new Map(), {data} = paper.getImageData(...box.map(each => Math.round(each * sharpness)));
    for (let at = 0; at < data.length; at += 4) {
      const colour = data[at] << 16 | data[at + 1] << 8 | data[at + 2];
      counts.set(colour, (counts.get(colour) ?? 0) + 1);
    }
    const [ground, ink] = [...counts.keys()].sort((one, other) => counts.get(other) - counts.get(one));
    return [words, ...[ink ?? ground, ground].map(each => "#" + each.toString(16).padStart(6, "0"))];
  });
}"""


@dataclass(frozen=True, slots=True)
class Painted:
    """A line of text: the colour most of it has, and the next most."""

    words: str
    ink: str
    ground: str

    @property
    def contrast(self) -> float:
        return contrast(self.ink, self.ground)


def painted(browser: Browser, html: str, width: int) -> list[Painted]:
    """The lines of ``html`` in a window ``width`` pixels wide, in the colours that they are painted in."""
    context = browser.new_context(viewport={"width": width, "height": 812}, device_scale_factor=_SHARPNESS)
    page = context.new_page()
    page.set_content(html)
    texts = page.evaluate(_TEXTS)
    png = b64encode(page.screenshot(full_page=True)).decode()
    colours = page.evaluate(_COLOURS, [png, texts, _SHARPNESS])
    context.close()
    return [Painted(*each) for each in colours]
