// A chart in focus is moved by keys: arrows for the cursor, + and − to zoom, Shift with an arrow to move the
// window, Escape for all of the time.
const axisOf = (name) => Object.keys(axes).find((each) => axes[each].names.includes(name));
const stepTo = (chart, name, steps) => {
  const last = chart.data[0].length - 1;
  const [min, max] = axisOf(name) ? windowOf(axisOf(name)) : [chart.data[0][0], chart.data[0][last]];
  const slots = axisOf(name) && axes[axisOf(name)].time.slots;
  const inside = chart.cursor.left >= 0 && chart.cursor.idx != null;
  let index = inside ? chart.cursor.idx + steps : chart.data[0].findIndex((x) => x >= min);
  // Over the gap between two runs.
  while (slots && index > 0 && index < last && !slots[index]) index += steps < 0 ? -1 : 1;
  index = Math.min(last, Math.max(0, index));
  const x = chart.data[0][index];
  // The window follows the cursor.
  if (axisOf(name) && (x < min || x > max)) {
    const width = max - min;
    zoomTo(axisOf(name), x < min ? x - 0.5 : x + 0.5 - width, x < min ? x - 0.5 + width : x + 0.5);
  }
  return x;
};
const zoomKey = (axis, chart, key, shift) => {
  const at = chart.cursor.left >= 0 ? chart.posToVal(chart.cursor.left, "x") : undefined;
  if (key === "+" || key === "=") zoomBy(axis, 0.5, at);
  else if (key === "-" || key === "−") zoomBy(axis, 2, at);
  else if (key === "0") showAll();
  else if (shift && key === "ArrowLeft") panBy(axis, -0.5);
  else if (shift && key === "ArrowRight") panBy(axis, 0.5);
  else return false;
  return true;
};
for (const element of document.querySelectorAll("[data-chart]")) {
  const name = element.dataset.chart;
  element.addEventListener("keydown", (event) => {
    const chart = charts.get(name);
    const axis = axisOf(name);
    if (!chart || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === "Escape") {
      chart.setCursor({ left: -10, top: -10 }, true, true);
      if (axis) showAll();
      return;
    }
    if (axis && zoomKey(axis, chart, event.key, event.shiftKey)) {
      event.preventDefault();
      spoken.textContent = inWords(axis);
      return;
    }
    const isHeat = name === "heat";
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!step || (!isHeat && step[1])) return;
    event.preventDefault();
    const height = chart.over.clientHeight;
    let { top } = chart.cursor;
    if (chart.cursor.left < 0) { top = height / 2; step[1] = 0; }
    if (isHeat) {
      // From row to row, each at its middle.
      const rows = heat.rows_per_decade;
      const row = Math.floor((chart.posToVal(top, "y") - heatFloor) * rows + 1e-9) - step[1];
      top = chart.valToPos(heatFloor + (row + 0.5) / rows, "y");
    }
    const left = step[1] ? chart.cursor.left : chart.valToPos(stepTo(chart, name, step[0]), "x");
    const within = (at, size) => Math.min(size - 1, Math.max(0, at));
    chart.setCursor({ left: within(left, chart.over.clientWidth), top: within(top, height) }, true, true);
    queueMicrotask(() => {
      const out = document.querySelector(`[data-readout="${name}"]`);
      if (out) spoken.textContent = out.textContent;
      else say(name);
    });
  });
}
