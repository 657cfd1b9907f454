// Response times: by percentile, and second by second.
const dashes = { "v-noop": [4, 3], "v-system": [9, 3], "v-mimalloc": [9, 3, 2, 3] };
const byVariant = group(variants, ["curve", "p999", "max", "cpu", "rss"]);

const drawCurve = (css) => place("curve", () => ({
  rows: [curve.x, ...curve.y],
  uplot: {
    padding: [8, 34, 0, 0],
    scales: { x: { time: false, range: [0, curve.x[curve.x.length - 1]] }, y: { distr: 3, log: 10, range: decades(curve.y) } },
    axes: [
      axis(css, {
        label: "share of requests answered within", incrs: [1],
        values: (u, splits) => {
          // As many labels as fit; the last ones are the longest.
          let end = -Infinity;
          return splits.map((x) => {
            const text = Number.isInteger(x) ? percentile(x) : "";
            const half = text.length * 3.6 + 3;
            const centre = (u.width - 100) * x / curve.x[curve.x.length - 1];
            if (centre - half < end) return "";
            end = centre + half;
            return text;
          });
        },
        space: 20, size: 30,
      }),
      latency(css),
    ],
    series: [{}, ...variants.map(({ slot }, index) => line(css, byVariant, index, { dash: dashes[slot], points: { show: false } }))],
    cursor: { drag: { x: false, y: false }, points: { size: 7 } },
    hooks: { setCursor: [readout("curve", (idx) => "at " + percentile(curve.x[idx]))] },
  },
}));

const loaded = runs.map((run) => ({ ...run, name: variants[run.variant].label, slot: variants[run.variant].slot, length: run.p999.length, seconds: 1 }));
const loadedTime = timeline(loaded);
const seconds = (field) => variants.map((_, index) =>
  loadedTime.slots.map((slot) => (slot && slot.run.variant === index ? slot.run[field][slot.second] : null)));
// One range for both charts, so that they can be compared.
const loadedRange = decades(runs.flatMap((run) => [run.p999, run.max]));
const loadedSync = uPlot.sync("seconds");
const drawLatencies = (css, name, more) => drawSeconds(css, name, {
  time: loadedTime, owner: byVariant, rows: seconds(name), range: loadedRange, key: loadedSync.key, ...more,
});
