// What a probe saw: pauses by series and second, and single ones over the heat map.
const kinds = pauses?.kinds || [];
const byKind = group(kinds, ["pause-p999", "pause-max"]);
// There are eight colours; series beyond them are dashed.
byKind.dash = (index) => (index < 8 ? undefined : [6, 3]);
const tracedTime = timeline(pauses?.runs || []);
const tracedRange = decades((pauses?.runs || []).flatMap((run) => [...run.p999, ...run.max]));
const tracedSync = uPlot.sync("pauses");
const drawPauses = (css, name, field) => drawSeconds(css, name, {
  time: tracedTime, owner: byKind, range: tracedRange, key: tracedSync.key,
  rows: kinds.map((_, index) => tracedTime.slots.map((slot) => (slot ? slot.run[field][index][slot.second] : null))),
});

// ---- single pauses, where and as long as they were, over the heat map -------------------------------
const MOST_SHAPES = 250;
const SHAPES = ["●", "■", "▲", "◆", "▼", "✚", "★", "⬟"];
const marks = (pauses?.over || []).flatMap(({ run, marks: list }) => list.map(([kind, second, length, thread, where]) => ({
  // A second's point stands in its middle.
  x: loadedTime.bands[run].start + second - 0.5, kind, length, thread, where,
})));
const windows = (pauses?.over || []).flatMap(({ run, windows: list }) => list.map(([from, to, series]) => {
  const { start } = loadedTime.bands[run];
  return { from: start + from - 0.5, to: start + to - 0.5, series };
}));
const marked = [...new Set(marks.map(({ kind }) => kind))].sort((a, b) => a - b);
const byMark = group(marked.map((kind) => ({ ...kinds[kind], shape: SHAPES[kind % SHAPES.length] })), ["marks"], () => charts.get("heat")?.redraw());
// Only this thread's, if any is chosen.
let ofThread = null;
const seen = ({ kind, thread }) => !byMark.hidden.has(marked.indexOf(kind)) && (ofThread === null || thread === 0 || thread === ofThread);
// The map's scale is of powers of ten; what lies beyond it stands at its edge.
const heightOf = (u, length, canvas) => u.valToPos(Math.min(u.scales.y.max, Math.max(u.scales.y.min, Math.log10(length))), "y", canvas);
// A collector that stops the world is no single thread's.
const threadName = (thread) => (thread === 0 ? "all threads" : "thread " + thread);
const describe = ({ kind, length, thread, where }) =>
  `${kinds[kind].label} ${duration(length)}, ${threadName(thread)}${where && ", " + where}`;
const drawMarks = (css) => (u) => {
  const { ctx, bbox } = u;
  const ratio = devicePixelRatio || 1;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.fillStyle = css("soft");
  for (const { from, to } of windows) {
    const left = u.valToPos(from, "x", true);
    ctx.fillRect(left, bbox.top + bbox.height - 5 * ratio, Math.max(ratio, u.valToPos(to, "x", true) - left), 5 * ratio);
  }
  const [min, max] = windowOf("seconds");
  const shown = marks.filter((mark) => seen(mark) && mark.x >= min && mark.x <= max);
  ctx.font = 11 * ratio + "px sans-serif";
  ctx.textAlign = "center";
  ctx.textBaseline = "middle";
  ctx.lineWidth = 2 * ratio;
  ctx.lineJoin = "round";
  // A rim of the page's colour keeps a mark apart from what it lies on.
  ctx.strokeStyle = css("page");
  // Where shapes would lie on each other, dots leave the map to be seen.
  const dots = shown.length > MOST_SHAPES;
  for (const mark of shown) {
    const shape = SHAPES[mark.kind % SHAPES.length];
    const at = [u.valToPos(mark.x, "x", true), heightOf(u, mark.length, true)];
    ctx.fillStyle = css(kinds[mark.kind].slot);
    if (dots) {
      ctx.fillRect(at[0] - 1.5 * ratio, at[1] - 1.5 * ratio, 3 * ratio, 3 * ratio);
    } else {
      ctx.strokeText(shape, ...at);
      ctx.fillText(shape, ...at);
    }
  }
  ctx.restore();
};
// The pause under the cursor; where there is none, the longest of the second.
const nearMark = (idx, u) => {
  const { left, top } = u.cursor;
  const window = windows.find(({ from, to }) => top > u.over.clientHeight - 9 && left >= u.valToPos(from, "x") - 2 && left <= u.valToPos(to, "x") + 2);
  if (window) return `; a window of the probe itself (${window.series})`;
  let best = null, distance = 14;
  for (const mark of marks.filter(seen)) {
    const away = Math.hypot(u.valToPos(mark.x, "x") - left, heightOf(u, mark.length) - top);
    if (away < distance) { best = mark; distance = away; }
  }
  if (best) return "; " + describe(best);
  const inside = marks.filter((mark) => seen(mark) && mark.x >= idx - 0.5 && mark.x < idx + 0.5);
  if (!inside.length) return "";
  return "; longest pause: " + describe(inside.reduce((a, b) => (b.length > a.length ? b : a)));
};
