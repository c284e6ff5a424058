"""The page that all HTML reports share: no scripts, no external files, one style."""

from __future__ import annotations

import html


def page(title: str, body: str, style: str = "") -> str:
    """Return an HTML document.

    Args:
        title: plain text.
        body: HTML.
        style: CSS in addition to the style of all pages.
    """
    title = html.escape(title)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{title}</title>'
        f"<style>{_STYLE}{style}</style></head><body><main><h1>{title}</h1>{body}</main></body></html>\n"
    )


_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;color:#1c2430;background:#f6f7f9;margin:0}
main{max-width:1100px;margin:0 auto;padding:2rem 1rem}
h1{font-size:1.6rem;margin:0 0 .5rem}h2{margin:2.5rem 0 .5rem;font-size:1.25rem}h3{font-size:1rem;margin:1rem 0 .3rem}
h1,h2,h3,p{overflow-wrap:anywhere}
.verdict{font-size:1.2rem;font-weight:600;padding:.7rem 1rem;border-radius:.5rem;color:#fff}
.verdict.good{background:#2a7d4f}.verdict.bad{background:#b23a48}.verdict.unclear{background:#8a6414}
.cards{display:flex;flex-wrap:wrap;gap:.8rem}
.card{flex:1 1 180px;background:#fff;border-radius:.5rem;padding:.8rem 1rem;color:inherit;text-decoration:none;
border-top:4px solid #2a7d4f;box-shadow:0 1px 3px #0002;display:flex;flex-direction:column;gap:.2rem}
.card.bad{border-color:#b23a48}.card small{color:#5a6675}.card span{font-weight:600;color:#2a7d4f}
.card.bad span{color:#b23a48}
.row{display:flex;flex-wrap:wrap;gap:1rem;align-items:flex-start}
table{border-collapse:collapse;background:#fff;border-radius:.5rem;flex:1 1 380px;font-size:.85rem}
td,th{padding:.35rem .6rem;text-align:left;border-bottom:1px solid #e6e9ee}
td:nth-child(n+2),th:nth-child(n+2){text-align:right;font-variant-numeric:tabular-nums}
td:nth-child(n+2){white-space:nowrap}
tr.bad td{color:#b23a48;font-weight:600}
img{max-width:100%;background:#fff;border-radius:.5rem;flex:1 1 560px;min-width:0}.row img{width:560px}.wide{width:100%}
"""
