// What lies over a chart, of layers that hold anything.
const overlaid = (...layers) => {
  const some = layers.filter(([held]) => held.length);
  if (!some.length) return {};
  return {
    over: (css) => (u) => some.forEach(([, over]) => over(css)(u)),
    more: (idx, u) => some.map(([, , more]) => (more ? more(idx, u) : "")).join(""),
  };
};
// Draws the charts, and draws them anew when theme or size change.
const draw = () => {
  const css = style();
  drawCurve(css);
  drawLatencies(css, "p999", overlaid([limitsOf(["P99.9"]), drawTargets(["P99.9"])], [spans, drawSpans, nearSpan]));
  drawLatencies(css, "max", overlaid([limitsOf(["Maximum"]), drawTargets(["Maximum"])], [spans, drawSpans, nearSpan]));
  if (loaded.length) {
    drawHeat(css);
    drawLevel(css);
  }
  drawResources(css);
  drawPool(css);
  drawPauses(css, "pause-p999", "p999");
  drawPauses(css, "pause-max", "max");
};
for (const owner of [byVariant, byKind, byMark, bySpan, byUse, byEvent]) keys(owner);
for (const element of document.querySelectorAll(".scripted")) element.classList.remove("scripted");
showZoom();
draw();
// How long a reader waited, for whoever measures it: from the start of navigation to charts that are drawn.
requestAnimationFrame(() => performance.mark("charts-drawn"));

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
