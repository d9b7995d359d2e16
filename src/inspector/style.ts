/** The element's style. Colours follow the page's `color-scheme`; the documented properties of index.ts restyle them. */
const CSS = `
:host {
  --_attention: var(--skip-attention, light-dark(#1f6384, #6fbbdc));
  --_mlp: var(--skip-mlp, light-dark(#a8480b, #f0a068));
  --_surface: var(--skip-surface, light-dark(#ffffff, #1c2226));
  --_band: var(--skip-band, light-dark(#f4f2ec, #232a2f));
  --_ink: var(--skip-ink, light-dark(#1d2327, #e7e9ea));
  --_muted: var(--skip-muted, light-dark(#57616a, #a3adb5));
  --_line: var(--skip-line, light-dark(#d5d2c9, #3d474e));
  --_control: var(--skip-control, light-dark(#7d8388, #87929a));
  --_accent: var(--skip-accent, light-dark(#1d2327, #ffffff));
  --_tint-0: light-dark(#f6f4ee, #20262a);
  --_tint-1: light-dark(#e6f0f2, #1f2f37);
  --_tint-2: light-dark(#cbe3eb, #203f4d);
  --_tint-3: light-dark(#a9d3e2, #215268);
  --_tint-4: light-dark(#82c0d8, #226785);
  --_notice: light-dark(#fdeeea, #37201b);
  --_notice-line: light-dark(#b3402a, #f0907a);
  display: block;
  min-width: 0;
  color: var(--_ink);
  font-family: system-ui, sans-serif;
  line-height: 1.5;
  overflow-wrap: break-word;
}

:host([hidden]), [hidden] { display: none !important; }

* { box-sizing: border-box; }

.frame { display: grid; gap: 0.75rem; }
.frame > *, .panels > * { min-width: 0; }

h3 { margin: 0.75rem 0 0.25rem; font-size: 0.95rem; font-weight: 650; }
p { margin: 0; }
.caption { color: var(--_muted); }
.caption b { color: var(--_ink); font-weight: 650; }
.hint, .legend, .readout { color: var(--_muted); font-size: 0.85rem; }
.hint, .readout { margin-top: 0.35rem; min-height: 1.3rem; }

.bar-row, .buttons, .tools, .legend { display: flex; flex-wrap: wrap; align-items: center; gap: 0.4rem 0.6rem; }
.bar-row { justify-content: space-between; }
.tools { flex-wrap: nowrap; align-items: flex-start; margin-bottom: 0.5rem; }
.legend { gap: 0.2rem 0.9rem; }
.tools .legend { flex: 1 1 auto; }

button {
  min-height: 2.4rem;
  min-width: 2.4rem;
  padding: 0.2rem 0.8rem;
  border: 1px solid var(--_control);
  border-radius: 6px;
  background: var(--_surface);
  color: inherit;
  font: inherit;
  font-size: 0.9rem;
  cursor: pointer;
}
button:hover { border-color: var(--_ink); }
button[aria-disabled="true"] { border-color: var(--_line); color: var(--_muted); cursor: default; }
:focus-visible { outline: 3px solid var(--_accent); outline-offset: 2px; }
.check { font-size: 0.9rem; cursor: pointer; }
input { accent-color: var(--_attention); }

.tabs { display: flex; flex-wrap: wrap; gap: 0.25rem; border-bottom: 1px solid var(--_line); }
.tabs button { border-color: transparent; border-radius: 6px 6px 0 0; background: none; }
.tabs button[aria-selected="true"] {
  box-shadow: inset 0 -3px var(--_attention);
  color: var(--_ink);
  font-weight: 650;
}

.notice {
  padding: 0.6rem 0.9rem;
  border: 1px solid var(--_notice-line);
  border-left-width: 5px;
  border-radius: 6px;
  background: var(--_notice);
  overflow-wrap: anywhere;
}

.grid-scroller {
  max-height: min(36rem, 75vh);
  overflow: auto;
  border: 1px solid var(--_line);
  border-radius: 8px;
  background: var(--_surface);
}
.grid-spacer { min-width: 100%; }
canvas { display: block; position: sticky; left: 0; top: 0; cursor: crosshair; }

.glyph { width: 0.8rem; height: 0.8rem; vertical-align: -0.1rem; }
.glyph-attention { fill: var(--_attention); }
.glyph-mlp { fill: var(--_mlp); }
.glyph-skipped { fill: var(--_control); }
.glyph-waiting { fill: none; stroke: var(--_muted); stroke-dasharray: 3 2; }
.glyph-prompt { fill: var(--_ink); }

.text {
  min-height: 6rem;
  max-height: min(32rem, 75vh);
  margin-top: 0.5rem;
  overflow: auto;
  padding: 0.6rem 0.8rem;
  border: 1px solid var(--_line);
  border-radius: 8px;
  background: var(--_surface);
  contain: content;
  font-size: 1.05rem;
  line-height: 2.2;
  white-space: pre-wrap;
  overflow-wrap: anywhere;
}
.token {
  padding: 0.15em 0 11px;
  border-radius: 2px;
  background: linear-gradient(var(--_attention), var(--_attention)) left bottom / 100% calc(var(--ran, 0) * 10px) no-repeat;
  cursor: pointer;
}
.token[data-level="0"] { background-color: var(--_tint-0); }
.token[data-level="1"] { background-color: var(--_tint-1); }
.token[data-level="2"] { background-color: var(--_tint-2); }
.token[data-level="3"] { background-color: var(--_tint-3); }
.token[data-level="4"] { background-color: var(--_tint-4); }
.token.waiting { border-bottom: 2px dashed var(--_attention); }
.token.prompt { font-weight: 650; }
.token.special { font-family: ui-monospace, monospace; font-size: 0.85em; }
.token.break::before { content: "↵"; }
.token.selected { outline: 2px solid var(--_accent); }
.legend .token { display: inline-block; min-width: 2.9rem; padding: 0.1rem 0.4rem 12px; color: var(--_ink); text-align: center; cursor: default; }

.scroll { position: relative; overflow: auto; }
.layers { max-height: 24rem; }
table { border-spacing: 2px; font-size: 0.85rem; font-variant-numeric: tabular-nums; }
caption { color: var(--_muted); text-align: left; }
th { color: var(--_muted); font-weight: 500; text-align: left; white-space: nowrap; }
td { padding: 0 0.5rem 0 0; }
.bars { width: 100%; table-layout: fixed; }
.bars th:first-child { width: 3.5rem; }
.bars td { white-space: nowrap; }
.bar { display: inline-block; width: calc(var(--share) * (100% - 3.5rem)); height: 0.75rem; vertical-align: -0.05rem; }
.bar-attention { background: var(--_attention); }
.bar-mlp { border: 2px solid var(--_mlp); background: repeating-linear-gradient(45deg, var(--_mlp) 0 3px, transparent 3px 6px); }
.bar-mlp { border-width: 0 2px 0 0; }
.number { margin-left: 0.35rem; }
.pattern { font-family: ui-monospace, monospace; white-space: nowrap; }
.prompt { font-weight: 650; }
.table td, .table th { padding-right: 0.8rem; white-space: pre; }
summary { font-weight: 600; cursor: pointer; }
details .buttons { margin: 0.5rem 0; }

.chart { display: block; width: 100%; max-width: 56rem; height: auto; overflow: visible; }
.chart text { fill: var(--_muted); font-size: 12px; }
.axis { stroke: var(--_line); }
.series { fill: none; stroke: var(--_attention); stroke-width: 2; vector-effect: non-scaling-stroke; }
.series-mlp { stroke: var(--_mlp); stroke-dasharray: 6 4; }
.line { display: inline-block; width: 1.8rem; border-top: 3px solid var(--_attention); vertical-align: 0.25rem; }
.line-mlp { border-top: 3px dashed var(--_mlp); }
.profile h3 { margin: 1.2rem 0 0.2rem; font-size: 0.95rem; }
.profile table { margin-bottom: 0.8rem; }
.profile caption { text-align: left; font-weight: 550; }
.time-attention { fill: var(--_attention); }
.time-mlp { fill: transparent; stroke: var(--_mlp); stroke-width: 2; }
.figures { margin-bottom: 0.5rem; font-weight: 550; }

.chosen { padding-top: 0.25rem; border-top: 1px solid var(--_line); }
.chosen-head { display: flex; flex-wrap: wrap; align-items: center; justify-content: space-between; gap: 0.5rem; margin-top: 0.4rem; }
.chosen-head h3 { margin: 0; }
.decisions { margin-top: 0.4rem; }
.decisions th[scope="row"] { position: sticky; left: 0; padding-right: 0.5rem; background: var(--_surface); color: var(--_ink); }
.decisions th[scope="col"] { text-align: center; }
.decisions td { min-width: 1.7rem; padding: 0 0.2rem; border: 1px solid var(--_line); border-radius: 3px; text-align: center; line-height: 1.35; }
.decisions .attention > :first-child { color: var(--_attention); }
.decisions .mlp > :first-child { color: var(--_mlp); }
.decisions .skipped { border-style: dashed; }
.margin { display: block; color: var(--_muted); font-size: 0.75rem; }

.visually-hidden {
  position: absolute;
  width: 1px;
  height: 1px;
  overflow: hidden;
  clip-path: inset(50%);
  white-space: nowrap;
}

/* The transition lasts as good as nothing: its end tells that the colour is another. */
.probes { position: absolute; width: 0; height: 0; overflow: hidden; forced-color-adjust: none; }
.probes i { transition: color 1ms; }
.probe-attention { color: var(--_attention); }
.probe-mlp { color: var(--_mlp); }
.probe-skipped { color: var(--_control); }
.probe-surface { color: var(--_surface); }
.probe-band { color: var(--_band); }
.probe-ink { color: var(--_ink); }
.probe-muted { color: var(--_muted); }
.probe-line { color: var(--_line); }
.probe-accent { color: var(--_accent); }

@media (forced-colors: active) {
  :host {
    --_attention: LinkText;
    --_mlp: CanvasText;
    --_surface: Canvas;
    --_band: Canvas;
    --_ink: CanvasText;
    --_muted: CanvasText;
    --_line: GrayText;
    --_control: GrayText;
    --_accent: Highlight;
  }
  .bar, .line, .token, .glyph, .series, .time-attention, .time-mlp { forced-color-adjust: none; }
  .token { background-color: Canvas !important; color: CanvasText; }
  .tabs button[aria-selected="true"] { border-color: Highlight; }
}
`

let sheet: CSSStyleSheet | undefined

/** One sheet for all elements. A constructed one, because a page's content security policy may allow no other. */
export function styleSheet(): CSSStyleSheet {
  if (!sheet) {
    sheet = new CSSStyleSheet()
    sheet.replaceSync(CSS)
  }
  return sheet
}
