// One window of time for all charts over time: whatever zooms one moves the others.
// There are two axes, that of the runs under load and that of the traced runs, which may begin earlier;
// a window of one is carried over to the other through the runs that are on both.
const axes = {
  seconds: { time: loadedTime, names: ["p999", "max", "heat", "slo", "cpu", "rss"], view: null, of: (run) => loaded.indexOf(run), begin: () => 0 },
  pauses: { time: tracedTime, names: ["pause-p999", "pause-max"], view: null, of: (run) => run.over, begin: (run) => run.offset },
};
const whole = ({ time }) => [-0.7, Math.max(time.slots.length - 0.3, 1)];
const windowOf = (name) => axes[name].view || whole(axes[name]);
// Narrower than two seconds there is nothing more to see.
const NARROWEST = 2;

// A place on one axis, as run and second of that run; `side` says which way to look from a gap.
const instant = (axis, x, side) => {
  const { bands } = axis.time;
  const band = side < 0 ? bands.find(({ end }) => end - 0.5 > x) : bands.findLast(({ start }) => start - 0.5 < x);
  if (!band) return null;
  const points = Math.min(band.end - band.start, Math.max(0, x + 0.5 - band.start));
  return { run: axis.of(band.run), second: points * band.run.seconds + axis.begin(band.run) };
};
const placeOf = (axis, at, side) => {
  const bands = axis.time.bands.filter(({ run }) => axis.of(run) != null && axis.of(run) >= 0);
  const same = bands.find(({ run }) => axis.of(run) === at.run);
  // A run that only the other axis has: the window ends at its neighbour.
  if (!same) {
    const next = side < 0 ? bands.find(({ run }) => axis.of(run) > at.run) : bands.findLast(({ run }) => axis.of(run) < at.run);
    return next ? (side < 0 ? next.start - 0.5 : next.end - 0.5) : null;
  }
  const points = (at.second - axis.begin(same.run)) / same.run.seconds;
  return same.start - 0.5 + Math.min(same.end - same.start, Math.max(0, points));
};
const carry = (from, to) => {
  const other = axes[to];
  other.view = null;
  const { view } = axes[from];
  if (!view) return;
  const ends = [-1, 1].map((side, end) => {
    const at = instant(axes[from], view[end], side);
    return at && at.run != null ? placeOf(other, at, side) : null;
  });
  if (ends[0] != null && ends[1] != null && ends[1] - ends[0] >= 1) other.view = ends;
};
const zoomTo = (name, from, to) => {
  const axis = axes[name];
  const [low, high] = whole(axis);
  const width = Math.min(high - low, Math.max(NARROWEST, to - from));
  const middle = (from + to) / 2;
  const start = Math.min(high - width, Math.max(low, middle - width / 2));
  axis.view = width > (high - low) * 0.999 ? null : [start, start + width];
  carry(name, name === "seconds" ? "pauses" : "seconds");
  for (const [each, { names }] of Object.entries(axes)) {
    const [min, max] = windowOf(each);
    for (const chart of names) charts.get(chart)?.setScale("x", { min, max });
  }
  showZoom();
};
const showAll = () => zoomTo("seconds", ...whole(axes.seconds));
// By a factor, around a place that stays where it is.
const zoomBy = (name, factor, around) => {
  const [from, to] = windowOf(name);
  const x = around ?? (from + to) / 2;
  zoomTo(name, x - (x - from) * factor, x + (to - x) * factor);
};
const panBy = (name, share) => {
  const [from, to] = windowOf(name);
  const step = (to - from) * share;
  const [low, high] = whole(axes[name]);
  const moved = Math.min(high - to, Math.max(low - from, step));
  zoomTo(name, from + moved, to + moved);
};

// ---- a mouse: drag to zoom, double click for all ---------------------------------------------------
let dragged = null;
const drag = (name) => ({
  cursor: {
    drag: { x: true, y: false, setScale: false },
    bind: { dblclick: () => () => { showAll(); return null; } },
  },
  ready: (u) => u.over.addEventListener("mousedown", () => { dragged = u; }),
  setSelect: (u) => {
    const { left, width: wide } = u.select;
    if (!wide) return;
    u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    // The others of its group show the same stretch while it is drawn; only its own counts.
    if (u === dragged && wide > 3) zoomTo(name, u.posToVal(left, "x"), u.posToVal(left + wide, "x"));
  },
});

// ---- buttons: for who has no mouse -----------------------------------------------------------------
const bars = [];
const inWords = (name) => {
  const { time, view } = axes[name];
  if (!view) return "all of the time";
  const inside = time.slots.slice(Math.max(0, Math.ceil(view[0])), Math.floor(view[1]) + 1).filter(Boolean);
  if (!inside.length) return "";
  const [first, last] = [inside[0], inside[inside.length - 1]];
  return first === last ? secondName(first) : `${secondName(first)} to ${secondName(last)}`;
};
const showZoom = () => {
  for (const { name, text, reset, narrower, wider, moves } of bars) {
    const { view } = axes[name];
    text.textContent = inWords(name);
    reset.disabled = wider.disabled = !view;
    narrower.disabled = view !== null && view[1] - view[0] <= NARROWEST;
    for (const button of moves) button.disabled = !view;
  }
};
for (const box of document.querySelectorAll("[data-zoom]")) {
  const name = box.dataset.zoom;
  const button = (label, spelt, act) => {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = label;
    if (spelt) { made.setAttribute("aria-label", spelt); made.title = spelt; }
    made.addEventListener("click", () => { act(); spoken.textContent = inWords(name); });
    box.append(made);
    return made;
  };
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", "Stretch of time that is shown");
  const narrower = button("+", "Zoom in", () => zoomBy(name, 0.5));
  const wider = button("−", "Zoom out", () => zoomBy(name, 2));
  const moves = [button("←", "Earlier", () => panBy(name, -0.5)), button("→", "Later", () => panBy(name, 0.5))];
  const reset = button("Reset zoom", "", showAll);
  const text = document.createElement("span");
  box.append(text);
  bars.push({ name, text, reset, narrower, wider, moves });
}
