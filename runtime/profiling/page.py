"""A profile as one HTML page, without scripts or links, in light or dark."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from daflow.core.html import page
from runtime.profiling.plots import distribution, rounds, shares
from runtime.profiling.statistics import windows
from runtime.profiling.text import cost_rows, edge_sentences, environment_rows, machine_words, told_first

_COLUMNS = ("min", "mean", "p50", "p90", "p99", "max")
_STEPS = ("python", "import", "open", "frame", "score")


def profile_page(profile: Mapping[str, Any]) -> str:
    """Return the page of a profile, as `daflow-profile --json` writes it."""
    edge, first = profile["edge"], profile["scorer_alone"]["scorers"][profile["baseline"]]["batches"]
    start = profile["cold_start"]["with_poses"] or profile["cold_start"]["without_poses"]
    size = next(iter(first))
    cards = [
        (f"{first[size]['call']['p50_ms']:.3f} ms", f"{profile['baseline']}, {windows(size)}"),
        (
            f"{edge['frames_per_second']:,.0f} /s",
            f"frames of {edge['people']:.1f} people, as fast as it goes",
        ),
        (f"{profile['pace']['delay']['p50_ms']:.1f} ms", "from a frame to its result"),
        (f"{start['score']['p50_ms'] / 1000:.2f} s", "from the start to the first score"),
    ]
    if edge["overhead"]:
        cards.append(
            (f"{100 * edge['overhead']['by_camera']:.1f} %", "on top of pose estimation, in its thread")
        )
    body = (
        f"<p>{html.escape(machine_words(profile['environment']))}; {html.escape(profile['created'])}</p>"
        f'<div class="cards">{"".join(_card(*card) for card in cards)}</div>'
        + _advice(profile["advice"])
        + _scorers(profile)
        + _edge(profile)
        + _starts(profile["cold_start"])
        + f"<h2>Cost</h2>{_facts(cost_rows(profile))}"
        + f"<h2>Environment</h2>{_facts(environment_rows(profile['environment']))}"
        + _how_to_read()
    )
    return page(f"Profile of {profile['bundle']}", body, _STYLE)


def _card(value: str, words: str) -> str:
    return f'<div class="card"><b>{html.escape(value)}</b><small>{html.escape(words)}</small></div>'


def _advice(advice: Sequence[str]) -> str:
    if not advice:
        return '<p class="note">The clocks are fixed, the machine was quiet and the spread is small.</p>'
    items = "".join(f"<li>{html.escape(text)}</li>" for text in advice)
    return f'<div class="note"><b>Before you trust these figures</b><ul>{items}</ul></div>'


def _scorers(profile: Mapping[str, Any]) -> str:
    scorers = profile["scorer_alone"]["scorers"]
    sizes = list(scorers[profile["baseline"]]["batches"])
    rows = []
    for size in sizes:
        for name, scorer in scorers.items():
            row = scorer["batches"][size]
            rows.append(
                [size, name, *_cells(row["call"]), f"{row['call']['cv']:.2f}",
                 f"{row['windows_per_second']:,.0f}", f"{row['ratio']:.2f}x"]
            )  # fmt: skip
    head = ["windows", "scorer", *_COLUMNS, "CV", "windows/s", "ratio"]
    plots = "".join(
        f"<figure><figcaption>{windows(size)} in a call</figcaption>"
        + distribution(
            {name: scorer["batches"][size]["call"]["quantiles_ms"] for name, scorer in scorers.items()},
            f"distribution of a call with {windows(size)}, by scorer",
        )
        + rounds(
            {name: scorer["batches"][size]["call"]["rounds_ms"] for name, scorer in scorers.items()},
            f"medians of the rounds with {windows(size)}, by scorer",
        )
        + "</figure>"
        for size in sizes
    )
    told = [f"{html.escape(name)}: {html.escape(scorer['bottleneck'])}." for name, scorer in scorers.items()]
    left_out = [f"Left out: {html.escape(text)}" for text in profile["left_out"]]
    return (
        f"<h2>The scorer alone</h2><p>Milliseconds a call, {profile['rounds']} rounds in turn; the ratio is to "
        f"{html.escape(profile['baseline'])}.</p>{_table(head, rows, 2)}{_phases(scorers)}"
        f'<p>{"<br>".join([*told, *left_out])}</p><div class="plots">{plots}</div>'
    )


def _phases(scorers: Mapping[str, Any]) -> str:
    rows = [
        [
            f"{name}, {windows(size)}",
            *(f"{row[phase]['p50_ms']:.3f}" for phase in ("to_device", "compute", "to_host")),
        ]
        for name, scorer in scorers.items()
        for size, row in scorer["batches"].items()
        if row["compute"]
    ]
    if not rows:
        return "<p>These scorers tell the whole call only: nothing is copied to another device and back.</p>"
    return "<h3>Of which, on the GPU, p50</h3>" + _table(["", "to device", "compute", "to host"], rows, 1)


def _edge(profile: Mapping[str, Any]) -> str:
    edge, pace = profile["edge"], profile["pace"]
    rows = []
    for stage, row in profile["stages"].items():
        share = edge["share"].get(stage)
        rows.append(
            [stage, *_cells(row), f"{row['cv']:.2f}", "" if share is None else f"{100 * share:.1f} %"]
        )
    extra = {"delay": pace["delay"], "to event": pace["to_event"], "pose only": edge["pose_only"]}
    told = {name: row for name, row in extra.items() if row}
    rows += [[name, *_cells(row), f"{row['cv']:.2f}", ""] for name, row in told.items()]
    stages = {name: row["quantiles_ms"] for name, row in profile["stages"].items()}
    delays = {name: row["quantiles_ms"] for name, row in told.items()}
    sentences = " ".join(html.escape(sentence) for sentence in edge_sentences(profile))
    return (
        f"<h2>The whole edge</h2><p>{html.escape(profile['scorer'])} on {html.escape(profile['source'])}; "
        f"milliseconds a frame. {sentences}</p>{_table(['stage', *_COLUMNS, 'CV', 'share'], rows, 1)}"
        "<h3>Share of the work</h3>"
        f'{shares(edge["share"])}<div class="plots"><figure><figcaption>Stages</figcaption>'
        f"{distribution(stages, 'distribution of each stage')}</figure>"
        "<figure><figcaption>From the frame on</figcaption>"
        f"{distribution(delays, 'distribution of the delays')}</figure></div>"
    )


def _starts(starts: Mapping[str, Any]) -> str:
    rows = []
    for kind in ("without_poses", "with_poses"):
        start = starts[kind]
        if start:
            cells = [f"{start[step]['p50_ms'] / 1000:.2f}" if start[step] else "" for step in _STEPS]
            rows.append([kind.replace("_", " "), *cells])
    head = ["seconds from the start until", "Python runs", "imported", "opened", "a frame", "a score"]
    return f"<h2>Cold start</h2>{_table(head, rows, 1)}"


def _cells(row: Mapping[str, Any]) -> list[str]:
    return [f"{row[f'{column}_ms']:.3f}" for column in _COLUMNS]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], words: int) -> str:
    """A table whose first `words` columns hold words."""

    def cells(row: Sequence[str], tag: str) -> str:
        return "".join(
            f"<{tag}{' class=word' if index < words else ''}>{html.escape(cell)}</{tag}>"
            for index, cell in enumerate(row)
        )

    lines = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    return f'<div class="scroll"><table class="profile"><tr>{cells(head, "th")}</tr>{lines}</table></div>'


def _facts(rows: Iterable[tuple[str, str]]) -> str:
    return (
        "<dl>"
        + "".join(f"<dt>{html.escape(a)}</dt><dd>{html.escape(b)}</dd>" for a, b in told_first(rows))
        + "</dl>"
    )


def _how_to_read() -> str:
    return (
        "<h2>How to read this</h2><p>The curves are cumulative: where a curve crosses p99, 99 % of the calls were at "
        "least as fast. Their upper half is the slowest tenth, stretched: a late frame is what people notice. The dots "
        "are the medians of the rounds: where they lie apart, the machine did not agree with itself, and a difference "
        "of that size means nothing. 'daflow-profile compare' heeds that.</p>"
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
