// Second by second: all runs on one axis, a gap between them.
// A run: name, run, slot, length in points, and the seconds that a point stands for.
const timeline = (list) => {
  const slots = [];
  const bands = [];
  const gap = Math.max(1, Math.round(list.reduce((sum, run) => sum + run.length, 0) / 100));
  for (const run of list) {
    const start = slots.length;
    for (let second = 0; second < run.length; second += 1) slots.push({ run, second });
    bands.push({ run, start, end: slots.length });
    for (let air = 0; air < gap; air += 1) slots.push(null);
  }
  slots.length = Math.max(0, slots.length - gap);
  return { slots, bands };
};
const runName = ({ name, run }) => `${name} ${run}`;
const secondName = ({ run, second }) => {
  const each = run.seconds;
  return `${runName(run)}, ` + (each === 1 ? `second ${second + 1}` : `seconds ${second * each + 1} to ${(second + 1) * each}`);
};
const drawBands = (css, { bands }, named = true) => (u) => {
  const { ctx, bbox } = u;
  const ratio = devicePixelRatio || 1;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, 0, bbox.width, bbox.top + bbox.height);
  ctx.clip();
  ctx.font = font().replace("12px", 12 * ratio + "px");
  ctx.textBaseline = "bottom";
  ctx.textAlign = "center";
  bands.forEach(({ run, start, end }) => {
    const left = Math.max(bbox.left, u.valToPos(start - 0.5, "x", true));
    const right = Math.min(bbox.left + bbox.width, u.valToPos(end - 0.5, "x", true));
    if (right <= left) return;
    ctx.fillStyle = css("raised");
    ctx.fillRect(left, bbox.top, right - left, bbox.height);
    if (!named) return;
    ctx.fillStyle = css(run.slot);
    ctx.fillRect(left, bbox.top - 2 * ratio, right - left, 2 * ratio);
    for (const text of [runName(run), String(run.run)]) {
      if (ctx.measureText(text).width < right - left + 4 * ratio) {
        ctx.fillText(text, (left + right) / 2, bbox.top - 5 * ratio);
        break;
      }
    }
  });
  ctx.restore();
};
const STEPS = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600];
const timeAxis = (css, { slots, bands }, more) => axis(css, {
  label: "second of the run", size: 26, grid: { show: false }, space: 20,
  // Each run counts its own seconds.
  splits: (u, at, min, max) => {
    const inside = bands.filter(({ start, end }) => end - 0.5 > min && start - 0.5 < max);
    const longest = Math.max(1, ...inside.map(({ start, end }) => end - start));
    const fits = (s) => (u.width - 78) / (max - min) * s >= 12 + 7 * String(longest).length;
    const step = STEPS.find(fits) || 7200;
    // Where no second can be told from the next, each run's last one gives its length.
    if (step > longest) return inside.map(({ end }) => end - 1).filter((index) => index >= min && index <= max);
    const splits = [];
    for (let index = Math.max(0, Math.ceil(min)); index <= Math.min(slots.length - 1, max); index += 1) {
      if (slots[index] && (slots[index].second + 1) % step === 0) splits.push(index);
    }
    return splits;
  },
  values: (u, splits) => splits.map((index) => (slots[index] ? String((slots[index].second + 1) * slots[index].run.seconds) : "")),
  ...more,
});
// In the document, which stretch a chart shows: for whoever looks at the page by a program.
const showWindow = (u, key) => {
  const element = u.root.parentElement;
  if (key === "x" && element) element.dataset.window = [u.scales.x.min, u.scales.x.max].map((x) => x.toFixed(3)).join(" ");
};
// What all charts over time have: the axis, the window that is shown, what a mouse does. `key` names the axis.
const overTime = (css, key, time, { padding, scales, axes: others, series, draw, setCursor, named, timed }) => {
  const mouse = drag(key);
  return {
    padding: padding || [24, 16, 0, 0],
    scales: { x: { time: false, range: () => windowOf(key) }, ...scales },
    axes: [timeAxis(css, time, timed), ...others],
    series,
    cursor: { ...mouse.cursor, points: { size: 8 }, sync: { key, setSeries: false } },
    hooks: {
      ready: [mouse.ready, (u) => showWindow(u, "x")], setSelect: [mouse.setSelect], setScale: [showWindow], drawClear: [drawBands(css, time, named)],
      draw: draw || [], setCursor: setCursor || [],
    },
  };
};
// `owner` has the lines, `rows` their values; `over` draws on top, `more` adds to the readout; `y` is for
// what is no time.
const drawSeconds = (css, name, { time, owner, rows, range, key, over, more, y }) => place(name, () => {
  const { slots } = time;
  const few = (u) => u.scales.x.max - u.scales.x.min <= 400;
  return {
    rows: [slots.map((_, index) => index), ...rows],
    uplot: overTime(css, key, time, {
      scales: { y: { ...(y ? y.scale : { distr: 3, log: 10 }), range } },
      axes: [y ? y.axis : latency(css)],
      series: [{}, ...owner.lines.map(({ slot }, index) => line(css, owner, index, {
        dash: owner.dash?.(index),
        points: { show: few, size: 5, fill: css(slot), stroke: css(slot) },
      }))],
      draw: over ? [over(css)] : [],
      setCursor: [readout(name, (idx, u) => (slots[idx] ? secondName(slots[idx]) + (more ? more(idx, u) : "") : ""), y?.show)],
    }),
  };
});
