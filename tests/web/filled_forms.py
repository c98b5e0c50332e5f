"""The preferences page's form, as a browser would send it back."""

from __future__ import annotations

import html
import re

import httpx


def shown(page: httpx.Response) -> dict[str, str]:
    """What a browser would send if nothing was touched."""
    fields = re.findall(r'<input [^>]*name="([^"]+)"[^>]*? value="([^"]*)"([^>]*)>', page.text)
    sent = {name: value for name, value, rest in fields if 'type="checkbox"' not in rest}
    for tag in re.findall(r"<input class=[^>]*>", page.text):
        [name] = re.findall(r' name="([^"]+)"', tag)
        sent.pop(name, None)
        if " checked" in tag:
            sent[name] = "on"
    for name, options in re.findall(r'<select [^>]*name="([^"]+)"[^>]*>(.*?)</select>', page.text, re.DOTALL):
        values = re.findall(r'<option value="([^"]*)"( selected)?', options)
        sent[name] = next((value for value, is_selected in values if is_selected), values[0][0])
    return {name: html.unescape(value) for name, value in sent.items()}


def switch_of(page: httpx.Response, label: str) -> str:
    """The field beside these words."""
    for _, block in re.findall(r'<(label|div) class="choice">(.*?)</\1>', page.text, re.DOTALL):
        if f"<bdi>{label}</bdi>" in block:
            return str(re.findall(r' name="([^"]+)"', block)[0])
    raise AssertionError(label)
