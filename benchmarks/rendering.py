"""How long one mail takes to render, each template with each of its samples, the hostile and the huge ones too."""

from __future__ import annotations

import time

from benchmarks.rates import percentile
from benchmarks.report import Report
from streamnotify.devtools.samples import sample_mail, samples_of
from streamnotify.render.policy import RenderPolicy
from streamnotify.render.renderer import Renderer

P99_MS = 5.0  # issue 4, must-hold 5


def run(rounds: int, report: Report) -> None:
    """Measure ``rounds`` mails of each sample, by turns, and report."""
    renderer = Renderer(RenderPolicy("noreply@example.com", frontend_url="https://app.example.com"))
    samples = [(template, name) for template in renderer.library.names() for name in samples_of(template)]
    took: dict[tuple[str, str], list[float]] = {each: [] for each in samples}
    for turn in range(rounds + 1):
        for template, name in samples:
            began = time.perf_counter()
            sample_mail(renderer, name, template)
            if turn:  # the first makes the templates
                took[template, name].append((time.perf_counter() - began) * 1000)
    slowest = max(samples, key=lambda each: percentile(took[each], 0.5))
    rows = [
        ("all samples", [ms for times in took.values() for ms in times]),
        ("slowest: " + ", ".join(slowest), took[slowest]),
    ]
    report.table(
        f"Rendering, {len(samples)} samples, {rounds:,} mails of each",
        ("", "p50 ms", "p99 ms"),
        [(what, f"{percentile(times, 0.5):.2f}", f"{percentile(times, 0.99):.2f}") for what, times in rows],
    )
    report.verdict("rendering, p99", percentile(rows[0][1], 0.99), P99_MS, " ms", at_most=True)
