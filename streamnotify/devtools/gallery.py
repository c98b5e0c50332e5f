"""A static page of every template with its samples: how the mails look, what they weigh and what the lint says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from streamnotify.devtools import mail_views
from streamnotify.devtools.mail_lint import faults
from streamnotify.devtools.samples import sample_mail, samples_of
from streamnotify.render.renderer import Renderer

# What the frames and links of the page show of each mail's HTML.
_VIEWS = {
    "light": mail_views.light,
    "dark": mail_views.dark,
    "no-style": mail_views.stripped,
    "no-images": mail_views.without_images,
}


@dataclass(frozen=True, slots=True)
class Exhibit:
    """A mail in the gallery. ``files`` are file names by view; sizes are in bytes.

    ``faults`` are the lint's and those of templates that could not be used; ``warnings`` are what the worker would log.
    """

    name: str
    template: str
    organization_id: str | None
    subject: str
    headers: str
    text: str
    html_size: int
    mail_size: int
    faults: tuple[str, ...]
    warnings: tuple[str, ...]
    files: dict[str, str]

    @property
    def title(self) -> str:
        """Its place in the gallery, in words."""
        return f"{self.organization_id + ': ' if self.organization_id else ''}{self.template} · {self.name}"


def write_gallery(renderer: Renderer, directory: Path) -> list[Exhibit]:
    """Write ``index.html`` and the mails it shows into ``directory``, which is made if it is not there.

    Every organization with templates or a brand of its own is shown as well.

    Raises:
        OSError: if it cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    exhibits = list(_exhibits(renderer, directory))
    here = Path(__file__).resolve().parent
    jinja = Environment(
        loader=FileSystemLoader(here), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    page = jinja.get_template("gallery.html").render(exhibits=exhibits)
    (directory / "index.html").write_text(page, "utf-8")
    return exhibits


def _exhibits(renderer: Renderer, directory: Path) -> Iterator[Exhibit]:
    for index, organization_id in enumerate((None, *renderer.organizations())):
        for template in renderer.library.names(organization_id):
            for name in samples_of(template):
                # By number: an organization's id is no file name.
                stem = f"{template}.{name}" if organization_id is None else f"organization-{index}.{template}.{name}"
                yield _exhibit(renderer, directory / stem, template, name, organization_id)


def _exhibit(renderer: Renderer, stem: Path, template: str, name: str, organization_id: str | None) -> Exhibit:
    mail = sample_mail(renderer, name, template, organization_id)
    headers, text, html = mail_views.parts(mail.content)
    files = {view: f"{stem.name}.{view}.html" for view in _VIEWS}
    for view, show in _VIEWS.items():
        (stem.parent / files[view]).write_text(show(html), "utf-8")
    files["eml"] = f"{stem.name}.eml"
    (stem.parent / files["eml"]).write_bytes(mail.content)
    return Exhibit(
        name=name,
        template=template,
        organization_id=organization_id,
        subject=mail.subject,
        headers=headers,
        text=text,
        html_size=len(html.encode()),
        mail_size=len(mail.content),
        faults=tuple(dict.fromkeys((*mail.problems, *faults(html, text)))),
        warnings=mail.warnings,
        files=files,
    )
