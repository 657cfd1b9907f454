// The service level: targets as lines over the charts, and a cell for each second.
const { lines: targets, states, pauses: paused } = data.slo;
// Of some levels only, or of all; `y` places a time on the chart's scale.
const drawTargets = (levels, y = (ns) => ns) => (css) => (u) => {
  const { ctx, bbox } = u;
  const ratio = devicePixelRatio || 1;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.font = font().replace("12px", 11 * ratio + "px");
  ctx.textAlign = "right";
  ctx.lineJoin = "round";
  for (const { level, ns, text } of targets) {
    if (levels && !levels.includes(level)) continue;
    const at = u.valToPos(y(ns), "y", true);
    ctx.strokeStyle = css("bad");
    ctx.lineWidth = 1.25 * ratio;
    ctx.setLineDash([6 * ratio, 4 * ratio]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, at);
    ctx.lineTo(bbox.left + bbox.width, at);
    ctx.stroke();
    ctx.setLineDash([]);
    // Below the line where there is no room above it.
    const above = at - 15 * ratio > bbox.top;
    ctx.textBaseline = above ? "bottom" : "top";
    const to = [bbox.left + bbox.width - 4 * ratio, at + (above ? -2 : 3) * ratio];
    ctx.lineWidth = 3 * ratio;
    ctx.strokeStyle = css("page");
    ctx.strokeText("target " + text, ...to);
    ctx.fillStyle = css("bad");
    ctx.fillText("target " + text, ...to);
  }
  ctx.restore();
};
const limitsOf = (levels) => targets.filter(({ level }) => !levels || levels.includes(level)).map(({ ns }) => ns);

// The place of a slot's run in the list of all runs under load.
const places = new Map(loaded.map((run, place) => [run, place]));
const stateOf = (slot) => (slot ? Number(states[places.get(slot.run)][slot.second]) : null);
const STATES = ["within target", "over its target", "over its target, with a pause"];
const figures = ({ run, second }) =>
  `P50 ${duration(run.p50[second])}, P99 ${duration(run.p99[second])}, P99.9 ${duration(run.p999[second])}, maximum ${duration(run.max[second])}, ${count(run.count[second])} requests`;
const levelText = (slot) => {
  if (!slot) return "";
  const why = paused[places.get(slot.run)].find(([second]) => second === slot.second);
  return `${secondName(slot)}: ${STATES[stateOf(slot)]}${why ? ": " + why[1] : ""}; ${figures(slot)}`;
};
// A column of the screen takes the worst of its seconds; the state is in the height as well as in the colour.
const drawStates = (css) => (u) => {
  const { ctx, bbox } = u;
  const colours = ["s0", "s1", "s2"].map(css);
  const { slots } = loadedTime;
  const worst = new Int8Array(Math.ceil(bbox.width)).fill(-1);
  const [min, max] = windowOf("seconds");
  for (let index = Math.max(0, Math.floor(min)); index <= Math.min(slots.length - 1, Math.ceil(max)); index += 1) {
    const state = stateOf(slots[index]);
    if (state === null) continue;
    const left = Math.max(0, Math.round(u.valToPos(index - 0.5, "x", true) - bbox.left));
    const right = Math.max(left + 1, Math.round(u.valToPos(index + 0.5, "x", true) - bbox.left));
    const air = right - left > 5 ? 1 : 0;
    for (let x = left; x < Math.min(worst.length, right - air); x += 1) worst[x] = Math.max(worst[x], state);
  }
  ctx.save();
  for (let x = 0; x < worst.length; x += 1) {
    if (worst[x] < 0) continue;
    const height = bbox.height * [0.34, 0.67, 1][worst[x]];
    ctx.fillStyle = colours[worst[x]];
    ctx.fillRect(bbox.left + x, bbox.top + bbox.height - height, 1, height);
  }
  ctx.restore();
};
const levelOut = document.querySelector('[data-readout="slo"]');
const drawLevel = (css) => place("slo", () => ({
  rows: [loadedTime.slots.map((_, index) => index), loadedTime.slots.map(() => null)],
  uplot: overTime(css, loadedSync.key, loadedTime, {
    scales: { y: { range: [0, 1] } },
    axes: [axis(css, { scale: "y", size: 62, splits: () => [], grid: { show: false }, ticks: { show: false } })],
    series: [{}, { scale: "y", points: { show: false } }],
    draw: [drawStates(css)],
    setCursor: [(u) => { levelOut.textContent = u.cursor.idx == null ? "" : levelText(loadedTime.slots[u.cursor.idx]); }],
  }),
}));
