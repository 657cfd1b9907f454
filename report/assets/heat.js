// Heat maps: requests by second and response time.
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
