// The heat map: requests by second and response time, with pauses and targets laid over it.
const bytes = (text) => {
  const letters = atob(text);
  const cells = new Uint8Array(letters.length);
  for (let at = 0; at < cells.length; at += 1) cells[at] = letters.charCodeAt(at);
  return cells;
};
const maps = heat.maps.map(({ cells, ...map }) => ({ ...map, cells: bytes(cells) }));
const heatFloor = heat.lowest_row / heat.rows_per_decade;
const heatTop = (heat.lowest_row + heat.rows) / heat.rows_per_decade;
// Targets a little beyond what was measured are still shown.
const heatHigh = limitsOf().map(Math.log10).filter((power) => power > heatTop && power < heatTop + 1.5).reduce((most, power) => Math.max(most, power + 0.3), heatTop);
const heatLow = limitsOf().map(Math.log10).filter((power) => power < heatFloor && power > heatFloor - 1.5).reduce((least, power) => Math.min(least, power - 0.3), heatFloor);

// The first cell of a slot's column: runs of a variant stand one after the other in its map.
const firstColumns = loaded.map((run, place) => maps[run.variant].run_starts[loaded.slice(0, place).filter(({ variant }) => variant === run.variant).length]);
const columnOf = ({ run, second }) => firstColumns[places.get(run)] + Math.floor(second / maps[run.variant].seconds_per_column);
const cellsOf = (slot) => {
  const { cells } = maps[slot.run.variant];
  const at = columnOf(slot) * heat.rows;
  return cells.subarray(at, at + heat.rows);
};
const requestsIn = (byte) => (byte === 0 ? 0 : Math.max(10, heat.most) ** ((byte - 1) / 254));

// ---- colours: of each byte, on a logarithmic or a linear scale ----------------------------------------
let linear = false;
const ramp = (css) => {
  const stops = [0, 1, 2, 3, 4].map((n) => {
    const hex = css("r" + n).slice(1);
    return [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16));
  });
  const colours = new Uint8ClampedArray(256 * 4);
  for (let byte = 1; byte < 256; byte += 1) {
    const at = 4 * (linear ? requestsIn(byte) / Math.max(10, heat.most) : (byte - 1) / 254);
    const low = Math.min(3, Math.floor(at));
    stops[low].forEach((from, part) => { colours[byte * 4 + part] = Math.round(from + (stops[low + 1][part] - from) * (at - low)); });
    colours[byte * 4 + 3] = 255;
  }
  return colours;
};
const scaleBar = document.querySelector(".ramp");
const logTicks = [...(scaleBar?.querySelectorAll("b") || [])];
const showScale = () => {
  for (const tick of scaleBar.querySelectorAll("b")) tick.remove();
  const ticks = !linear ? logTicks : [0, 0.25, 0.5, 0.75, 1].map((share) => {
    const tick = document.createElement("b");
    tick.style.left = share * 100 + "%";
    tick.textContent = count(Math.round(heat.most * share));
    return tick;
  });
  scaleBar.querySelector(".bar").append(...ticks);
  scaleBar.setAttribute("aria-label", `Colour scale: 1 to ${count(heat.most)} requests, ${linear ? "linear" : "logarithmic"}`);
};

// ---- the map: one pixel of an image for a column of the screen and a row of latency --------------------
// Where several columns share a pixel the fullest cell stands for all, so that none hides another.
const drawCells = (css) => {
  const colours = ramp(css);
  return (u) => {
    const { ctx, bbox } = u;
    const wide = Math.max(1, Math.round(bbox.width));
    const cells = new Uint8Array(wide * heat.rows);
    const [min, max] = windowOf("seconds");
    const { slots } = loadedTime;
    const at = (x) => Math.round((x - min) / (max - min) * wide);
    for (let index = Math.max(0, Math.floor(min)); index <= Math.min(slots.length - 1, Math.ceil(max)); index += 1) {
      const slot = slots[index];
      if (!slot) continue;
      const left = Math.max(0, at(index - 0.5));
      // All seconds of a column in one go.
      const joined = maps[slot.run.variant].seconds_per_column;
      const rest = Math.min(joined - slot.second % joined, slot.run.length - slot.second);
      const right = Math.min(wide, Math.max(left + 1, at(index + rest - 0.5)));
      const column = cellsOf(slot);
      for (let x = left; x < right; x += 1) {
        for (let row = 0; row < heat.rows; row += 1) {
          const cell = x * heat.rows + row;
          if (column[row] > cells[cell]) cells[cell] = column[row];
        }
      }
      index += rest - 1;
    }
    const image = new ImageData(wide, heat.rows);
    for (let x = 0; x < wide; x += 1) {
      for (let row = 0; row < heat.rows; row += 1) {
        const byte = cells[x * heat.rows + row] * 4;
        const pixel = ((heat.rows - 1 - row) * wide + x) * 4;
        for (let part = 0; part < 4; part += 1) image.data[pixel + part] = colours[byte + part];
      }
    }
    const canvas = document.createElement("canvas");
    canvas.width = wide;
    canvas.height = heat.rows;
    canvas.getContext("2d").putImageData(image, 0, 0);
    const top = u.valToPos(heatTop, "y", true);
    ctx.save();
    ctx.imageSmoothingEnabled = false;
    ctx.drawImage(canvas, bbox.left, top, wide, u.valToPos(heatFloor, "y", true) - top);
    ctx.restore();
  };
};
const rowOf = (u, top) => Math.floor((u.posToVal(top, "y") - heatFloor) * heat.rows_per_decade + 1e-9);
const cellText = (slot, row) => {
  if (row < 0 || row >= heat.rows) return "";
  const edge = (r) => duration(10 ** (heatFloor + r / heat.rows_per_decade));
  const byte = cellsOf(slot)[row];
  const { seconds_per_column: joined } = maps[slot.run.variant];
  const first = slot.second - slot.second % joined + 1;
  const where = joined > 1 ? ` in seconds ${first} to ${Math.min(first + joined - 1, slot.run.length)}` : "";
  return `; ${edge(row)} to ${edge(row + 1)}${where}: ${byte ? (byte > 1 ? "about " : "") + count(Math.round(requestsIn(byte))) : "none"}`;
};
const heatOut = document.querySelector('[data-readout="heat"]');
const heatText = (u) => {
  const { idx, top } = u.cursor;
  const slot = idx == null ? null : loadedTime.slots[idx];
  if (!slot) return "";
  return `${secondName(slot)}: ${figures(slot)}${cellText(slot, rowOf(u, top))}${marks.length || windows.length ? nearMark(idx, u) : ""}`;
};
const drawHeat = (css) => place("heat", () => {
  const powers = Array.from({ length: Math.floor(heatHigh + 1e-9) - Math.ceil(heatLow) + 1 }, (_, n) => Math.ceil(heatLow) + n);
  return {
    rows: [loadedTime.slots.map((_, index) => index), loadedTime.slots.map(() => null)],
    uplot: overTime(css, loadedSync.key, loadedTime, {
      scales: { y: { range: [heatLow, heatHigh] } },
      axes: [axis(css, { scale: "y", size: 62, splits: () => powers, values: (u, splits) => splits.map((power) => duration(10 ** power)) })],
      series: [{}, { scale: "y", points: { show: false } }],
      draw: [drawCells(css), drawMarks(css), drawTargets(null, Math.log10)(css)],
      setCursor: [(u) => { heatOut.textContent = heatText(u); }],
    }),
  };
});

// ---- choices: the scale of colours, whose pauses --------------------------------------------------------
for (const choice of document.querySelectorAll('[data-colour="heat"] input')) {
  choice.addEventListener("change", () => {
    linear = choice.value === "linear" && choice.checked;
    showScale();
    drawHeat(style());
  });
}
const threads = document.querySelector('[data-threads="heat"]');
if (threads) {
  const total = new Map();
  for (const { thread, length } of marks) total.set(thread, (total.get(thread) || 0) + length);
  // Those that stood still longest come first.
  for (const [thread] of [...total].sort((a, b) => b[1] - a[1])) threads.append(new Option(threadName(thread), thread));
  threads.addEventListener("change", () => {
    ofThread = threads.value === "" ? null : Number(threads.value);
    charts.get("heat")?.redraw();
  });
}
