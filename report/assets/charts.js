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
  return (name) => values.getPropertyValue("--" + name).trim();
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

// ---- the keys: name and colour of each line, its value under the cursor, a switch ----------------
const groups = new Map();
const keysOf = (name) => document.querySelector(`[data-keys="${name}"]`);
const keys = (owner) => {
  for (const name of owner.names) {
    const box = keysOf(name);
    if (!box) continue;
    groups.set(name, owner);
    owner.lines.forEach(({ label, slot, shape }, index) => {
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("aria-pressed", "true");
      button.title = "Show or hide";
      const swatch = document.createElement("i");
      swatch.className = shape ? "shape " + slot : "swatch " + slot;
      swatch.textContent = shape || "";
      button.append(swatch, label, document.createElement("b"));
      button.addEventListener("click", () => {
        owner.hidden.has(index) ? owner.hidden.delete(index) : owner.hidden.add(index);
        for (const each of owner.names)
          keysOf(each)?.children[index].setAttribute("aria-pressed", String(!owner.hidden.has(index)));
        owner.apply(index);
      });
      box.append(button);
    });
    const at = document.createElement("span");
    at.className = "at";
    box.append(at);
  }
};
// What the keys show, for who hears the page; moving by mouse stays silent.
const spoken = document.createElement("p");
spoken.className = "spoken";
spoken.setAttribute("aria-live", "polite");
document.body.append(spoken);
const say = (name) => {
  const box = keysOf(name);
  const values = groups.get(name).lines.map(({ label }, index) => [label, box.children[index].querySelector("b").textContent]);
  spoken.textContent = [box.lastElementChild.textContent, ...values.filter(([, value]) => value).map((pair) => pair.join(" "))].join(", ");
};
const readout = (name, where, show = duration) => (u) => {
  const box = keysOf(name);
  const { idx } = u.cursor;
  groups.get(name).lines.forEach((_, index) => {
    const y = idx == null ? null : u.data[index + 1][idx];
    box.children[index].querySelector("b").textContent = y == null ? "" : show(y);
  });
  box.lastElementChild.textContent = idx == null ? "" : where(idx, u);
};

// ---- second by second: all runs on one axis, a gap between them ----------------------------------
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
const drawBands = (css, { bands }) => (u) => {
  const { ctx, bbox } = u;
  const ratio = devicePixelRatio || 1;
  ctx.save();
  ctx.font = font().replace("12px", 12 * ratio + "px");
  ctx.textBaseline = "bottom";
  ctx.textAlign = "center";
  bands.forEach(({ run, start, end }) => {
    const left = u.valToPos(start - 0.5, "x", true);
    const right = u.valToPos(end - 0.5, "x", true);
    ctx.fillStyle = css("raised");
    ctx.fillRect(left, bbox.top, right - left, bbox.height);
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
// `owner` has the lines, `rows` their values; `over` draws on top, `more` adds to the readout; `y` is for
// what is no time.
const drawSeconds = (css, name, { time, owner, rows, range, key, over, more, y }) => place(name, () => {
  const { slots, bands } = time;
  return {
    rows: [slots.map((_, index) => index), ...rows],
    uplot: {
      padding: [24, 16, 0, 0],
      scales: {
        x: { time: false, range: [-0.7, Math.max(slots.length - 0.3, 1)] },
        y: { ...(y ? y.scale : { distr: 3, log: 10 }), range },
      },
      axes: [
        axis(css, {
          label: "second of the run", size: 26, grid: { show: false }, space: 20,
          // Each run counts its own seconds.
          splits: (u) => {
            const steps = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600];
            const longest = Math.max(...bands.map(({ start, end }) => end - start));
            const fits = (s) => (u.width - 78) / slots.length * s >= 10 + 5 * String(longest).length;
            const step = steps.find(fits) || 7200;
            // Where no second can be told from the next, each run's last one gives its length.
            if (step > longest) return bands.filter(({ start, end }) => end > start).map(({ end }) => end - 1);
            return slots.flatMap((slot, index) => (slot && (slot.second + 1) % step === 0 ? [index] : []));
          },
          values: (u, splits) => splits.map((index) => String((slots[index].second + 1) * slots[index].run.seconds)),
        }),
        y ? y.axis : latency(css),
      ],
      series: [{}, ...owner.lines.map(({ slot }, index) => line(css, owner, index, {
        dash: owner.dash?.(index),
        points: { show: slots.length <= 400, size: 5, fill: css(slot), stroke: css(slot) },
      }))],
      cursor: { drag: { x: true, y: false }, points: { size: 8 }, sync: { key, setSeries: false } },
      hooks: {
        drawClear: [drawBands(css, time)],
        draw: over ? [over(css)] : [],
        setCursor: [readout(name, (idx, u) => (slots[idx] ? secondName(slots[idx]) + (more ? more(idx, u) : "") : ""), y?.show)],
      },
    },
  };
});
