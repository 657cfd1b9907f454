// What all charts share. Every figure is in a table of the page too: the charts are for the eye.
const data = JSON.parse(document.getElementById("data").textContent);
const { variants, curve, runs, heat, pauses } = data;
const charts = new Map();

// ---- figures as text; the counterpart of src/format.rs ------------------------------------------
const digits = (x) => String(Number(x.toPrecision(3)));
const scaled = (x, units) => {
  let unit = 0;
  while (Math.abs(x) >= 999.5 && unit + 1 < units.length) { x /= 1000; unit += 1; }
  return (digits(x) + " " + units[unit]).trim();
};
const duration = (ns) => scaled(ns, ["ns", "µs", "ms", "s"]);
const count = (n) => scaled(n, ["", "k", "M", "G"]).replace(" ", "");
const percentile = (x) => {
  if (x < 1e-9) return "0%";
  const nines = Math.max(0, Math.ceil(x) - 2) + (Number.isInteger(x) ? 0 : 1);
  return (100 * (1 - 10 ** -x)).toFixed(Number.isInteger(x) ? Math.max(0, x - 2) : nines) + "%";
};

const style = () => {
  const values = getComputedStyle(document.documentElement);
  const known = new Map();
  return (name) => {
    if (!known.has(name)) known.set(name, values.getPropertyValue("--" + name).trim());
    return known.get(name);
  };
};
const font = () => "12px " + getComputedStyle(document.body).fontFamily;
const width = { "v-pool": 2.5 };

// ---- pieces --------------------------------------------------------------------------------------
const axis = (css, more) => ({
  stroke: css("soft"), font: font(), labelFont: font(), labelSize: 18, labelGap: 2,
  grid: { stroke: css("grid"), width: 1 }, ticks: { stroke: css("line"), width: 1, size: 4 }, ...more,
});
// Lines at powers of ten only: the unit in the label says the rest.
const powers = (u, splits) => splits.map((y) => {
  const power = Math.log10(y);
  return Math.abs(power - Math.round(power)) < 1e-6 ? y : null;
});
const latency = (css) => axis(css, {
  scale: "y", size: 62, filter: powers, grid: { stroke: css("grid"), width: 1, filter: powers },
  ticks: { stroke: css("line"), width: 1, size: 4, filter: powers },
  values: (u, splits) => splits.map((y) => (y == null ? "" : duration(y))),
});
const decades = (lists) => {
  let low = Infinity, high = 0;
  for (const list of lists) for (const y of list) if (y > 0) { low = Math.min(low, y); high = Math.max(high, y); }
  if (!high) return [100, 1000];
  const floor = 10 ** Math.floor(Math.log10(low));
  const top = 10 ** Math.ceil(Math.log10(high));
  return [floor, top > floor ? top : floor * 10];
};
// Lines that are shown and hidden together, in all charts that have them.
const group = (lines, names, show) => {
  const hidden = new Set();
  const apply = show || ((index) => {
    for (const name of names) charts.get(name)?.setSeries(index + 1, { show: !hidden.has(index) });
  });
  return { lines, hidden, names, apply };
};
const line = (css, { lines, hidden }, index, more) => {
  const { slot, label } = lines[index];
  return { label, stroke: css(slot), width: width[slot] || 1.6, show: !hidden.has(index), spanGaps: false, ...more };
};
// A page without the chart's element has nothing to draw there.
const place = (name, make) => {
  const element = document.querySelector(`[data-chart="${name}"]`);
  charts.get(name)?.destroy();
  if (!element) return;
  const options = make(element);
  charts.set(name, new uPlot({
    width: element.clientWidth, height: element.clientHeight, legend: { show: false }, ...options.uplot,
  }, options.rows, element));
};
