// What lies over a chart, of layers that hold anything.
const overlaid = (...layers) => {
  const some = layers.filter(([held]) => held.length);
  if (!some.length) return {};
  return {
    over: (css) => (u) => some.forEach(([, over]) => over(css)(u)),
    more: (idx, u) => some.map(([, , more]) => more(idx, u)).join(""),
  };
};
// Draws the charts, draws them anew when theme or size change, and moves their cursors by key.
const draw = () => {
  const css = style();
  drawCurve(css);
  drawLatencies(css, "p999", overlaid([spans, drawSpans, nearSpan]));
  drawLatencies(css, "max", overlaid([spans, drawSpans, nearSpan], [marks, drawMarks, nearMark]));
  drawResources(css);
  drawPool(css);
  drawPauses(css, "pause-p999", "p999");
  drawPauses(css, "pause-max", "max");
  maps.forEach((_, index) => drawMap(css, index));
};
for (const owner of [byVariant, byKind, byMark, bySpan, byUse, byEvent]) keys(owner);
draw();

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
matchMedia("print").addEventListener("change", draw);

let resizing = 0;
new ResizeObserver(() => {
  cancelAnimationFrame(resizing);
  resizing = requestAnimationFrame(() => {
    for (const chart of charts.values()) {
      const element = chart.root.parentElement;
      const size = { width: element.clientWidth, height: element.clientHeight };
      if (size.width !== chart.width || size.height !== chart.height) chart.setSize(size);
    }
  });
}).observe(document.querySelector("main"));

// Arrow keys move the cursor of the chart in focus; Escape takes it away.
for (const element of document.querySelectorAll(".chart")) {
  element.addEventListener("keydown", (event) => {
    const chart = charts.get(element.dataset.chart || "map" + element.dataset.map);
    const isMap = element.dataset.map !== undefined;
    let { left, top } = chart.cursor;
    const inside = left >= 0;
    const plot = { width: chart.over.clientWidth, height: chart.over.clientHeight };
    if (event.key === "Escape") { chart.setCursor({ left: -10, top: -10 }, true, true); return; }
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!step || (!isMap && step[1])) return;
    event.preventDefault();
    if (!inside) { left = 0; top = plot.height / 2; step[0] = step[1] = 0; }
    const columns = isMap ? maps[element.dataset.map].width : chart.data[0].length;
    if (isMap) {
      left = (Math.floor(left / plot.width * columns) + 0.5 + step[0]) * plot.width / columns;
      top = (Math.floor(top / plot.height * heat.rows) + 0.5 + step[1]) * plot.height / heat.rows;
    } else {
      const index = inside ? chart.cursor.idx + step[0] : 0;
      left = chart.valToPos(chart.data[0][Math.min(columns - 1, Math.max(0, index))], "x");
    }
    chart.setCursor({ left: Math.min(plot.width - 1, Math.max(0, left)), top: Math.min(plot.height - 1, Math.max(0, top)) }, true, true);
    if (!isMap) queueMicrotask(() => say(element.dataset.chart));
  });
}
