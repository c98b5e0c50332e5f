"""The templates: those of an organization, else the service's own, else the shipped ones (SPEC section 4)."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined, Template, TemplateNotFound, TemplateSyntaxError
from jinja2.runtime import Context
from markupsafe import Markup, escape

from streamnotify.render.bounded import BoundedEnvironment, TooSlow
from streamnotify.render.cleaning import shorten_middle
from streamnotify.render.links import is_safe_url, without_unsafe_links
from streamnotify.render.preheader import preheader

log = logging.getLogger(__name__)

TASK_COMPLETION = "task_completion"
PART_LIMIT = 90_000  # bytes; Gmail clips a mail near 102 KB and hides what stands at its end
ORGANIZATIONS = "organizations"

_PACKAGE = Path(__file__).resolve().parent.parent
_SUFFIXES = (".html", ".txt", ".subject", ".jinja")
_TEMPLATE_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def templates_directory() -> Path:
    """The shipped templates: inside the installed package, or beside it in a source checkout.

    Raises:
        FileNotFoundError: if the installation has lost them.
    """
    for directory in (_PACKAGE / "_templates", _PACKAGE.parent / "templates"):
        if directory.is_dir():
            return directory
    raise FileNotFoundError("the templates are missing: install streamnotify again")


@dataclass(frozen=True, slots=True)
class Part:
    """A rendered file, and why it is not the one of the operator's (None if it is, or if there is none)."""

    text: str
    problem: str | None = None


class Library:
    """All templates as they are when it is made: a template changed later needs a restart.

    An organization's directory is looked up by name among those that were there, so an id from outside never becomes
    a path.

    Args:
        own: ``STREAMNOTIFY_TEMPLATE_DIR``; None if there is none.
    """

    def __init__(self, own: Path | None = None) -> None:
        self._said: set[str] = set()
        shipped = _sources(templates_directory())
        service = self._checked(own) if own else {}
        self._shipped = _Shelf(shipped, frozenset())
        self._service = _Shelf(shipped | service, frozenset(service))
        self._organizations: dict[str, _Shelf] = {}
        for directory in organization_directories(own):
            if theirs := self._checked(directory):
                self._organizations[directory.name] = _Shelf(shipped | service | theirs, frozenset(service | theirs))

    def names(self, organization_id: str | None = None) -> list[str]:
        """The templates that ``organization_id`` (None: the service) has, in alphabetical order."""
        return sorted(self._shelf(organization_id).names)

    def organizations(self) -> set[str]:
        """The ids of organizations with templates of their own."""
        return set(self._organizations)

    def digest(self, organization_id: str | None = None) -> str:
        """Names the templates of ``organization_id`` (None: the service) as they are: another text, another digest."""
        return self._shelf(organization_id).digest

    def has(self, template: str, organization_id: str | None) -> bool:
        """True if any of the three files of ``template`` is there for ``organization_id``."""
        return bool(_TEMPLATE_NAME.fullmatch(template)) and template in self._shelf(organization_id).names

    def render(
        self,
        template: str,
        suffix: str,
        organization_id: str | None,
        variables: Mapping[str, object],
        declared: Mapping[str, object],
    ) -> Part:
        """A file of ``template``, filled in.

        One that is missing is task_completion's. One of the operator's that cannot be rendered, or is over 90 KB,
        is replaced by the shipped one: a mail is never lost by its template. Each such fault is logged once.

        Args:
            template: its name without suffix.
            suffix: ``html``, ``txt`` or ``subject``.
            organization_id: whose files go first.
            variables: what the operator's templates may use.
            declared: what the shipped ones use: no publisher can put a name in their way.
        """
        shelf = self._shelf(organization_id)
        problem = None
        if shelf.own:
            try:
                return Part(shelf.render(template, suffix, variables))
            except Exception as error:  # noqa: BLE001 a template can raise anything; whatever it is, the mail goes
                problem = f"Template {template}.{suffix}: {_reason(error)}: the shipped template is used"
                of_its_own = organization_id in self._organizations
                self._say(f"Organization {organization_id!r}: {problem}" if of_its_own else problem)
        return Part(self._shipped.render(template, suffix, declared), problem)

    def _shelf(self, organization_id: str | None) -> _Shelf:
        return self._organizations.get(organization_id or "", self._service)

    def _checked(self, directory: Path) -> dict[str, str]:
        """The operator's files that can be read as templates; the others are logged and as if they were not there."""
        checked = {}
        for path in _files(directory):
            name = path.relative_to(directory).as_posix()
            try:
                source = path.read_text("utf-8")
                _environment({}, escape=True).parse(source)
            except (OSError, ValueError, RecursionError, TemplateSyntaxError) as error:
                self._say(f"Template {path}: {_reason(error)}: it is not used")
            else:
                checked[name] = source
        return checked

    def _say(self, problem: str) -> None:
        if problem not in self._said:
            self._said.add(problem)
            log.error("%s", problem)


class _Shelf:
    """Templates that are looked up together, and which of them are the operator's own."""

    def __init__(self, sources: Mapping[str, str], own: frozenset[str]) -> None:
        # Autoescape is set outright: jinja2.select_autoescape goes by the file's suffix and is silently off for others.
        self._html = _environment(sources, escape=True, trusted=not own)
        self._text = _environment(sources, escape=False, trusted=not own)
        self._too_slow: dict[str, str] = {}  # by file, in words; a second for each mail would stop the worker
        self.own = own
        self.digest = hashlib.sha256(repr(sorted(sources.items())).encode()).hexdigest()[:16]
        stems = {name.rpartition(".")[0] for name in sources if "/" not in name and not name.endswith(".jinja")}
        self.names = {stem for stem in stems if _TEMPLATE_NAME.fullmatch(stem)}

    def render(self, template: str, suffix: str, variables: Mapping[str, object]) -> str:
        jinja = self._html if suffix == "html" else self._text
        found = jinja.select_template((f"{template}.{suffix}", f"{TASK_COMPLETION}.{suffix}"))
        if isinstance(jinja, BoundedEnvironment):
            text = self._filled_in(jinja, found, variables)
        else:
            text = found.render(variables)
        # A character has at most four bytes: most mails are too short to be worth encoding here.
        if 4 * len(text) > PART_LIMIT and len(text.encode("utf-8", "replace")) > PART_LIMIT:
            raise ValueError(f"it makes more than {PART_LIMIT} bytes")
        # The shipped ones ask safe_url themselves.
        return without_unsafe_links(text) if suffix == "html" and self.own else text

    def _filled_in(self, jinja: BoundedEnvironment, template: Template, variables: Mapping[str, object]) -> str:
        name = template.name or ""
        if name in self._too_slow:
            raise TooSlow(self._too_slow[name])
        try:
            text = jinja.fill_in(template, variables)
        except TooSlow as error:
            self._too_slow[name] = str(error)
            raise
        text.encode()  # half a character cannot be written into a mail
        return text


def organization_directories(own: Path | None) -> list[Path]:
    """The directories of organizations in ``STREAMNOTIFY_TEMPLATE_DIR``; each is named after the organization's id."""
    if own is None or not (own / ORGANIZATIONS).is_dir():
        return []
    return sorted(path for path in (own / ORGANIZATIONS).iterdir() if path.is_dir() and _is_text(path.name))


def _is_text(name: str) -> bool:
    """False for a file name that is no UTF-8, and so nobody's id."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _sources(directory: Path) -> dict[str, str]:
    return {path.relative_to(directory).as_posix(): path.read_text("utf-8") for path in _files(directory)}


def _files(directory: Path) -> list[Path]:
    """The template files in ``directory`` and in its ``layout``."""
    found = [*directory.iterdir(), *(directory / "layout").glob("*")]
    return sorted(path for path in found if path.suffix in _SUFFIXES and path.is_file())


def _reason(error: Exception) -> str:
    if isinstance(error, TemplateNotFound):
        return f"there is no template {error.name!r} to include"
    place = f"line {error.lineno}: " if isinstance(error, TemplateSyntaxError) else ""
    return f"{place}{str(error) or type(error).__name__}"


class _Context(Context):
    """Calls macros straight away: shipped templates call nothing that Jinja would have to hand its context to."""

    def call(self, called: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        kwargs.pop("_block_vars", None)
        kwargs.pop("_loop_vars", None)
        return called(*args, **kwargs)


class _Trusted(Environment):
    """Jinja for the shipped templates only, which are what they were at the start: a third of Jinja's time saved."""

    context_class = _Context

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.globals.clear()  # range and the like, copied for each mail and used by none
        self._made: dict[str, Template] = {}

    def get_template(self, name: str | Template, *_: Any, **__: Any) -> Template:
        """The template ``name``. Jinja's own lookup updates its globals each time."""
        made = self._made.get(str(name))
        if made is None:
            made = self._made[str(name)] = super().get_template(name)
        return made


def _environment(sources: Mapping[str, str], *, escape: bool, trusted: bool = False) -> Environment:
    """Jinja in which an undeclared name is an error, and only our own templates could reach Python's inner workings.

    The sandbox looks at every attribute, which costs the shipped templates a third of their time.
    """
    options: dict[str, Any] = {
        "loader": DictLoader(sources),
        "autoescape": escape,
        "undefined": StrictUndefined,
        "trim_blocks": True,
        "lstrip_blocks": True,
        "auto_reload": False,
    }
    jinja = _Trusted(**options) if trusted else BoundedEnvironment(PART_LIMIT, **options)
    jinja.filters["safe_url"] = _safe_url
    jinja.filters["preheader"] = preheader
    jinja.filters["lines"] = _lines
    jinja.filters["shorten"] = shorten_middle
    return jinja


def _lines(text: object) -> Markup:
    """``text`` as HTML; Outlook knows no pre-wrap, so line breaks are elements."""
    return Markup(str(escape(text)).replace("\n", "<br>"))  # noqa: S704 it is escaped


def _safe_url(value: Any) -> str | None:
    """``value`` if it may be a link, else None."""
    return value if is_safe_url(value) else None
