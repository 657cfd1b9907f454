// Draws the charts of a report. Every figure is in a table of the page too: this is for the eye.
(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("data").textContent);
  const { variants, curve, runs, heat } = data;
  const charts = new Map();
  const hidden = new Set();

  // ---- figures as text; the counterpart of src/format.rs --------------------------------------
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
  const dashes = { "v-noop": [4, 3], "v-system": [9, 3], "v-mimalloc": [9, 3, 2, 3] };
  const width = { "v-pool": 2.5 };

  // ---- pieces shared by the charts ------------------------------------------------------------
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
  const line = (css, index, more) => {
    const { slot, label } = variants[index];
    return {
      label, stroke: css(slot), width: width[slot] || 1.6, dash: dashes[slot],
      show: !hidden.has(index), spanGaps: false, ...more,
    };
  };
  const place = (name, make) => {
    const element = document.querySelector(`[data-chart="${name}"]`);
    charts.get(name)?.destroy();
    const options = make(element);
    const chart = new uPlot({
      width: element.clientWidth, height: element.clientHeight, legend: { show: false }, ...options.uplot,
    }, options.rows, element);
    charts.set(name, chart);
    return chart;
  };

  // ---- the keys: name and colour of each line, its value under the cursor, a switch -----------
  const keys = (name) => {
    const box = document.querySelector(`[data-keys="${name}"]`);
    if (box.childElementCount) return;
    variants.forEach((variant, index) => {
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("aria-pressed", "true");
      button.title = "Show or hide";
      const swatch = document.createElement("i");
      swatch.className = "swatch " + variant.slot;
      button.append(swatch, variant.label, document.createElement("b"));
      button.addEventListener("click", () => {
        hidden.has(index) ? hidden.delete(index) : hidden.add(index);
        for (const each of document.querySelectorAll("[data-keys]"))
          each.children[index].setAttribute("aria-pressed", String(!hidden.has(index)));
        for (const each of ["curve", "p999", "max"]) charts.get(each)?.setSeries(index + 1, { show: !hidden.has(index) });
      });
      box.append(button);
    });
    const at = document.createElement("span");
    at.className = "at";
    box.append(at);
  };
  // What the keys show, for who hears the page; moving by mouse stays silent.
  const spoken = document.createElement("p");
  spoken.className = "spoken";
  spoken.setAttribute("aria-live", "polite");
  document.body.append(spoken);
  const say = (name) => {
    const box = document.querySelector(`[data-keys="${name}"]`);
    const values = variants.map(({ label }, index) => [label, box.children[index].querySelector("b").textContent]);
    spoken.textContent = [box.lastElementChild.textContent, ...values.filter(([, value]) => value).map((pair) => pair.join(" "))].join(", ");
  };
  const readout = (name, where) => (u) => {
    const box = document.querySelector(`[data-keys="${name}"]`);
    const { idx } = u.cursor;
    variants.forEach((_, index) => {
      const y = idx == null ? null : u.data[index + 1][idx];
      box.children[index].querySelector("b").textContent = y == null ? "" : duration(y);
    });
    box.lastElementChild.textContent = idx == null ? "" : where(idx);
  };

  // ---- response time by percentile ------------------------------------------------------------
  const drawCurve = (css) => place("curve", (element) => ({
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
      series: [{}, ...variants.map((_, index) => line(css, index, { points: { show: false } }))],
      cursor: { drag: { x: false, y: false }, points: { size: 7 } },
      hooks: { setCursor: [readout("curve", (idx) => "at " + percentile(curve.x[idx]))] },
    },
  }));

  // ---- second by second: all runs on one axis, a gap between them ------------------------------
  const slots = [];
  const bands = [];
  const gap = Math.max(1, Math.round(runs.reduce((sum, run) => sum + run.p999.length, 0) / 100));
  for (const run of runs) {
    const start = slots.length;
    for (let second = 0; second < run.p999.length; second += 1) slots.push({ run, second });
    bands.push({ run, start, end: slots.length });
    for (let air = 0; air < gap; air += 1) slots.push(null);
  }
  slots.length = Math.max(0, slots.length - gap);
  const seconds = (field) => [
    slots.map((_, index) => index),
    ...variants.map((_, index) => slots.map((slot) => (slot && slot.run.variant === index ? slot.run[field][slot.second] : null))),
  ];
  // One range for both charts, so that they can be compared.
  const secondsRange = decades(runs.flatMap((run) => [run.p999, run.max]));
  const runName = (run) => `${variants[run.variant].label} ${run.run}`;
  const drawBands = (css) => (u) => {
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
      ctx.fillStyle = css(variants[run.variant].slot);
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
  const sync = uPlot.sync("seconds");
  const drawSeconds = (css, field) => place(field, () => ({
    rows: seconds(field),
    uplot: {
      padding: [24, 16, 0, 0],
      scales: {
        x: { time: false, range: [-0.7, Math.max(slots.length - 0.3, 1)] },
        y: { distr: 3, log: 10, range: secondsRange },
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
          values: (u, splits) => splits.map((index) => String(slots[index].second + 1)),
        }),
        latency(css),
      ],
      series: [{}, ...variants.map((_, index) => line(css, index, {
        dash: undefined,
        points: { show: slots.length <= 400, size: 5, fill: css(variants[index].slot), stroke: css(variants[index].slot) },
      }))],
      cursor: { drag: { x: true, y: false }, points: { size: 8 }, sync: { key: sync.key, setSeries: false } },
      hooks: {
        drawClear: [drawBands(css)],
        setCursor: [readout(field, (idx) => (slots[idx] ? `${runName(slots[idx].run)}, second ${slots[idx].second + 1}` : ""))],
      },
    },
  }));

  // ---- heat maps -------------------------------------------------------------------------------
  const maps = heat.maps.map((map) => {
    const text = atob(map.cells);
    const cells = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
    // A column of air between runs, so that their seconds are not taken for neighbours.
    const gaps = (column) => map.run_starts.filter((start) => start > 0 && start <= column).length;
    const run = (column) => map.run_starts.findLastIndex((start) => start <= column);
    const columns = [];
    for (let column = 0; column < map.columns; column += 1) columns.push({ column, x: column + gaps(column), run: run(column) });
    return { ...map, cells, list: columns, width: map.columns + map.run_starts.filter((start) => start > 0).length };
  });
  const mix = (css) => {
    const stops = [0, 1, 2, 3, 4].map((n) => {
      const hex = css("r" + n).slice(1);
      return [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16));
    });
    return Array.from({ length: 256 }, (_, byte) => {
      const at = Math.max(0, byte - 1) / 254 * 4;
      const low = Math.min(3, Math.floor(at));
      const rgb = stops[low].map((from, part) => Math.round(from + (stops[low + 1][part] - from) * (at - low)));
      return `rgb(${rgb.join()})`;
    });
  };
  const lowest = heat.lowest_row / heat.rows_per_decade;
  const highest = (heat.lowest_row + heat.rows) / heat.rows_per_decade;
  const requests = (byte) => (byte === 0 ? 0 : Math.max(10, heat.most) ** ((byte - 1) / 254));
  const second = (map, at) => {
    const first = (at.column - map.run_starts[at.run]) * map.seconds_per_column + 1;
    return map.seconds_per_column === 1 ? `second ${first}` : `seconds ${first} to ${first + map.seconds_per_column - 1}`;
  };
  const drawMap = (css, index) => {
    const map = maps[index];
    const element = document.querySelector(`[data-map="${index}"]`);
    const out = document.querySelector(`[data-readout="${index}"]`);
    const colours = mix(css);
    const name = "map" + index;
    charts.get(name)?.destroy();
    const chart = new uPlot({
      width: element.clientWidth, height: element.clientHeight, legend: { show: false }, padding: [map.runs.length > 1 ? 20 : 6, 8, 0, 0],
      scales: { x: { time: false, range: [0, Math.max(map.width, 1)] }, y: { range: [lowest, highest] } },
      axes: [
        axis(css, {
          size: 26, grid: { show: false },
          splits: (u) => {
            const step = [1, 2, 5, 10, 20, 50, 100, 200].find((s) => (u.width - 70) / map.width * s >= 26) || 500;
            return map.list.filter(({ column, run }) => (column - map.run_starts[run] + 1) % step === 0).map(({ x }) => x + 0.5);
          },
          values: (u, splits) => splits.map((x) => {
            const at = map.list.find((each) => each.x + 0.5 === x);
            return at ? String((at.column - map.run_starts[at.run] + 1) * map.seconds_per_column) : "";
          }),
        }),
        axis(css, {
          size: 62,
          splits: () => Array.from({ length: Math.floor(highest + 1e-9) - Math.ceil(lowest) + 1 }, (_, n) => Math.ceil(lowest) + n),
          values: (u, splits) => splits.map((power) => duration(10 ** power)),
        }),
      ],
      series: [{}, { show: false }],
      cursor: { drag: { x: false, y: false }, points: { show: false } },
      hooks: {
        draw: [(u) => {
          const { ctx } = u;
          const ratio = devicePixelRatio || 1;
          ctx.save();
          if (map.runs.length > 1) {
            ctx.font = font().replace("12px", 11 * ratio + "px");
            ctx.fillStyle = css("soft");
            ctx.textBaseline = "bottom";
            ctx.textAlign = "left";
            map.run_starts.forEach((start, nth) => {
              const at = map.list.find(({ column }) => column === start);
              if (at && at.run === nth) ctx.fillText("run " + map.runs[nth], u.valToPos(at.x, "x", true), u.bbox.top - 4 * ratio);
            });
          }
          for (const { column, x } of map.list) {
            const left = Math.round(u.valToPos(x, "x", true));
            const right = Math.round(u.valToPos(x + 1, "x", true));
            for (let row = 0; row < heat.rows; row += 1) {
              const byte = map.cells[column * heat.rows + row];
              if (byte === 0) continue;
              const top = Math.round(u.valToPos(lowest + (row + 1) / heat.rows_per_decade, "y", true));
              const bottom = Math.round(u.valToPos(lowest + row / heat.rows_per_decade, "y", true));
              ctx.fillStyle = colours[byte];
              ctx.fillRect(left, top, Math.max(1, right - left), Math.max(1, bottom - top));
            }
          }
          ctx.restore();
        }],
        setCursor: [(u) => {
          const { left, top } = u.cursor;
          const at = left >= 0 ? map.list.find(({ x }) => x === Math.floor(u.posToVal(left, "x"))) : null;
          if (!at) { out.textContent = ""; return; }
          const row = Math.min(heat.rows - 1, Math.max(0, Math.floor((u.posToVal(top, "y") - lowest) * heat.rows_per_decade + 1e-9)));
          const edge = (r) => duration(10 ** (lowest + r / heat.rows_per_decade));
          const byte = map.cells[at.column * heat.rows + row];
          out.textContent = `run ${map.runs[at.run]}, ${second(map, at)}, ${edge(row)} to ${edge(row + 1)}: ${byte ? (byte > 1 ? "about " : "") + count(Math.round(requests(byte))) : "none"}`;
        }],
      },
    }, [[0, map.width], [null, null]], element);
    charts.set(name, chart);
  };

  // ---- life of the page --------------------------------------------------------------------------
  const draw = () => {
    const css = style();
    drawCurve(css);
    drawSeconds(css, "p999");
    drawSeconds(css, "max");
    maps.forEach((_, index) => drawMap(css, index));
  };
  for (const name of ["curve", "p999", "max"]) keys(name);
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
})();
