// What a load generator recorded beside response times: marks over the seconds, the target's resources.
const beside = data.load || { kinds: [], marks: [], resources: [] };
const spans = beside.marks.map(({ run, from, to, ...mark }) => {
  const { start } = loadedTime.bands[run];
  return { ...mark, from: start + from - 0.5, to: start + to - 0.5 };
});
const bySpan = group(beside.kinds.map((kind) => ({ ...kind, shape: "▮" })), ["spans"], () => {
  for (const name of ["p999", "max", "cpu", "rss"]) charts.get(name)?.redraw();
});
const open = ({ kind }) => !bySpan.hidden.has(kind);
const drawSpans = (css) => (u) => {
  const { ctx, bbox } = u;
  const ratio = devicePixelRatio || 1;
  const height = 14 * ratio;
  const ends = [];
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.font = font().replace("12px", 11 * ratio + "px");
  ctx.textAlign = "left";
  ctx.textBaseline = "top";
  for (const { from, to, kind } of spans.filter(open)) {
    const left = u.valToPos(from, "x", true);
    const width = Math.max(2 * ratio, u.valToPos(to, "x", true) - left);
    // Outside the stretch that is shown.
    if (left > bbox.left + bbox.width || left + width < bbox.left) continue;
    ctx.fillStyle = css(beside.kinds[kind].slot);
    ctx.globalAlpha = 0.16;
    ctx.fillRect(left, bbox.top, width, bbox.height);
    ctx.globalAlpha = 1;
    ctx.fillRect(left, bbox.top, ratio, bbox.height);
    // In the first row where the one before it has ended; without room it stays in the keys.
    const text = beside.kinds[kind].label;
    const begin = Math.min(Math.max(left, bbox.left) + 4 * ratio, bbox.left + bbox.width - ctx.measureText(text).width - 2 * ratio);
    const row = [0, 1, 2].find((n) => (ends[n] ?? -Infinity) <= begin);
    if (row === undefined) continue;
    ends[row] = begin + ctx.measureText(text).width + 6 * ratio;
    // A rim of the page's colour keeps the words apart from the line that they lie on.
    ctx.lineWidth = 3 * ratio;
    ctx.lineJoin = "round";
    ctx.strokeStyle = css("raised");
    ctx.strokeText(text, begin, bbox.top + 3 * ratio + row * height);
    ctx.fillText(text, begin, bbox.top + 3 * ratio + row * height);
  }
  ctx.restore();
};
// The marks under the cursor, or those of its second, in words.
const nearSpan = (idx, u) => {
  const x = u.cursor.left >= 0 ? u.posToVal(u.cursor.left, "x") : idx;
  const near = (from, to) => spans.filter((mark) => open(mark) && mark.from <= to && mark.to >= from);
  const found = near(x, x).length ? near(x, x) : near(idx - 0.5, idx + 0.5);
  return found.map(({ kind, length, detail }) =>
    `; ${beside.kinds[kind].label}${length ? " " + duration(length) : ""}${detail && " (" + detail + ")"}`).join("");
};

const used = (field) => variants.map((_, index) => loadedTime.slots.map((slot) => {
  if (!slot || slot.run.variant !== index) return null;
  return beside.resources.find(({ run }) => run === loaded.indexOf(slot.run))?.[field][slot.second] ?? null;
}));
const share = (cores) => digits(cores * 100) + "%";
const memory = (bytes) => {
  const unit = bytes < 1 ? 0 : Math.min(4, Math.floor(Math.log2(bytes) / 10));
  return digits(bytes / 1024 ** unit) + " " + ["B", "KiB", "MiB", "GiB", "TiB"][unit];
};
const drawUsed = (css, name, field, show, increments) => {
  const rows = used(field);
  const highest = rows.flat().reduce((most, y) => Math.max(most, y ?? 0), 0);
  drawSeconds(css, name, {
    time: loadedTime, owner: byVariant, rows, range: [0, highest > 0 ? highest * 1.1 : 1], key: loadedSync.key,
    y: { scale: {}, show, axis: axis(css, { scale: "y", size: 62, space: 24, incrs: increments, values: (u, splits) => splits.map(show) }) },
    over: spans.length ? drawSpans : null, more: nearSpan,
  });
};
const drawResources = (css) => {
  if (!beside.resources.length) return;
  drawUsed(css, "cpu", "cores", share);
  // Memory is read in binary units.
  drawUsed(css, "rss", "rss", memory, Array.from({ length: 50 }, (_, power) => 2 ** power));
};
