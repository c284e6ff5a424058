"""A profile as one HTML page, without scripts or links, in light or dark."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence

from daflow.core.html import page
from runtime.profiling.plots import distribution, rounds, shares
from runtime.profiling.profile import Profile, windows_text
from runtime.profiling.statistics import Timing
from runtime.profiling.tables import (
    NO_ADVICE,
    WHOLE_CALLS_ONLY,
    Fact,
    Table,
    cost_facts,
    delays,
    edge_sentences,
    environment_facts,
    known_facts,
    machine_name,
    phase_table,
    scorer_sentences,
    scorer_table,
    stage_table,
    start_table,
    with_or_without_poses,
)


def profile_page(profile: Profile) -> str:
    """Return the page of a profile."""
    body = (
        f"<p>{html.escape(machine_name(profile.environment))}; {html.escape(profile.created)}</p>"
        f'<div class="cards">{"".join(_card(*card) for card in _cards(profile))}</div>'
        + _advice(profile.advice)
        + _scorers(profile)
        + _edge(profile)
        + f"<h2>Cold start</h2>{_table(start_table(profile))}"
        + f"<h2>Cost</h2>{_facts(cost_facts(profile))}"
        + f"<h2>Environment</h2>{_facts(environment_facts(profile.environment))}"
        + _HOW_TO_READ
    )
    return page(f"Profile of {profile.bundle}", body, _STYLE)


def _cards(profile: Profile) -> Iterable[tuple[str, str]]:
    edge, poses = profile.edge, with_or_without_poses(profile.edge)
    size, batch = next(iter(profile.scorer_alone.scorers[profile.baseline].batches.items()))
    yield f"{batch.call.p50_ms:.3f} ms", f"{profile.baseline}, {windows_text(size)}"
    yield f"{edge.frames_per_second:,.0f} /s", f"frames of {edge.people:.1f} people, at full speed, {poses}"
    yield f"{profile.pace.delay.p50_ms:.1f} ms", f"from a frame to its result, {poses}"
    for kind, start in reversed(profile.cold_start.by_kind().items()):
        if start.score:
            yield f"{start.score.p50_ms / 1000:.2f} s", f"from the start to the first score, {kind}"
            break
    if edge.overhead:
        yield f"{100 * edge.overhead.by_camera:.1f} %", "on top of pose estimation, in its thread"


def _card(value: str, words: str) -> str:
    return f'<div class="card"><b>{html.escape(value)}</b><small>{html.escape(words)}</small></div>'


def _advice(advice: Sequence[str]) -> str:
    if not advice:
        return f'<p class="note">{NO_ADVICE}</p>'
    items = "".join(f"<li>{html.escape(text)}</li>" for text in advice)
    return f'<div class="note"><b>How reliable these figures are</b><ul>{items}</ul></div>'


def _scorers(profile: Profile) -> str:
    scorers = profile.scorer_alone.scorers
    plots = ""
    for size in scorers[profile.baseline].batches:
        calls = {name: scorer.batches[size].call for name, scorer in scorers.items()}
        plots += (
            f"<figure><figcaption>{windows_text(size)} in a call</figcaption>"
            + distribution(_quantiles(calls), f"distribution of a call with {windows_text(size)}, by scorer")
            + rounds(
                {name: call.rounds_ms for name, call in calls.items()},
                f"medians of the rounds with {windows_text(size)}, by scorer",
            )
            + "</figure>"
        )
    phases = phase_table(profile)
    sentences = "<br>".join(map(html.escape, scorer_sentences(profile)))
    return (
        f"<h2>The scorer alone</h2><p>Milliseconds per call, {profile.rounds} rounds in turn; the ratio is to "
        f"{html.escape(profile.baseline)}.</p>{_table(scorer_table(profile.scorer_alone))}"
        f"{_table(phases) if phases else f'<p>{WHOLE_CALLS_ONLY}</p>'}"
        f'<p>{sentences}</p><div class="plots">{plots}</div>'
    )


def _edge(profile: Profile) -> str:
    sentences = " ".join(map(html.escape, edge_sentences(profile.edge, profile.pace)))
    stages = stage_table({**profile.stages, **delays(profile)}, profile.edge.share)
    return (
        f"<h2>The whole edge</h2><p>{html.escape(profile.scorer)} on {html.escape(profile.source)}; "
        f"milliseconds per frame. {sentences}</p>{_table(stages)}<h3>Share of the work</h3>"
        f'{shares(profile.edge.share)}<div class="plots"><figure><figcaption>Stages</figcaption>'
        f"{distribution(_quantiles(profile.stages), 'distribution of each stage')}</figure>"
        "<figure><figcaption>From the frame on</figcaption>"
        f"{distribution(_quantiles(delays(profile)), 'distribution of the delays')}</figure></div>"
    )


def _quantiles(timings: Mapping[str, Timing]) -> dict[str, list[float]]:
    return {name: timing.quantiles_ms for name, timing in timings.items()}


def _table(table: Table) -> str:
    def cells(row: Sequence[str], tag: str) -> str:
        return "".join(
            f"<{tag}{' class=word' if index < table.text_columns else ''}>{html.escape(cell)}</{tag}>"
            for index, cell in enumerate(row)
        )

    rows = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in table.rows)
    return (
        f'<div class="scroll"><table class="profile"><tr>{cells(table.head, "th")}</tr>{rows}</table></div>'
    )


def _facts(facts: Iterable[Fact]) -> str:
    rows = (
        f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>" for name, value in known_facts(facts)
    )
    return f"<dl>{''.join(rows)}</dl>"


_HOW_TO_READ = (
    "<h2>How to read this</h2><p>The curves are cumulative distributions: where a curve crosses p99, 99 % of the calls "
    "were at least as fast. The upper half of each picture is the slowest tenth. The dots are the medians of the "
    "rounds: where they lie apart, the machine was not steady, and differences of that size are noise. "
    "'daflow-profile compare' takes that into account.</p>"
)
_STYLE = """
:root{--paper:#f6f7f9;--sheet:#fff;--ink:#1c2430;--soft:#5a6675;--rule:#e6e9ee;--c0:#1f5fa8;--c1:#c2571a;--c2:#2a7d4f;
--c3:#b23a48;--c4:#6b4fa0;--c5:#8a6d00;--c6:#0f7c8a;--c7:#5a6675;color-scheme:light dark}
@media (prefers-color-scheme:dark){:root{--paper:#12161c;--sheet:#1b2129;--ink:#e4e8ee;--soft:#9aa6b5;--rule:#2d3641;
--c0:#6aa9f0;--c1:#f0955c;--c2:#5cc48b;--c3:#f07f8d;--c4:#b39af0;--c5:#d9b93a;--c6:#55c6d6;--c7:#9aa6b5}}
body{background:var(--paper);color:var(--ink)}
.card{background:var(--sheet)}.card b{font-size:1.3rem}.card small{color:var(--soft)}
.note{background:var(--sheet);border-left:4px solid var(--c1);padding:.6rem 1rem;border-radius:.3rem;margin:1rem 0}
.note ul{margin:.3rem 0;padding-left:1.2rem}
.scroll{overflow-x:auto}table.profile{background:var(--sheet);width:100%}
table.profile td,table.profile th{border-color:var(--rule);text-align:right}
table.profile .word{text-align:left;white-space:nowrap}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr));gap:1rem;margin:1rem 0}
figure{margin:0;background:var(--sheet);border-radius:.5rem;padding:.8rem 1rem}figcaption{font-weight:600}
.plot{width:100%;height:auto;font:12px system-ui,sans-serif}.plot text{fill:var(--soft)}
.grid{stroke:var(--rule);stroke-width:1}.line{fill:none;stroke-width:2}.dot{fill-opacity:.6}
.shares{width:100%;border-radius:.3rem}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.2rem 1rem;padding:0;margin:.2rem 0 .6rem;font-size:.85rem}
.key{display:inline-block;width:.8rem;height:.8rem;border-radius:.2rem;margin-right:.4rem;vertical-align:-.08rem}
dl{display:grid;grid-template-columns:minmax(10rem,18rem) 1fr;gap:.25rem 1rem;font-size:.9rem}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
""" + "".join(
    f".line.c{n}{{stroke:var(--c{n})}}.dot.c{n},.bar.c{n}{{fill:var(--c{n})}}.key.c{n}{{background:var(--c{n})}}"
    for n in range(8)
)
