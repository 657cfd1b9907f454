// Pools, second by second: what was in use against what there was, and what moved between the cores.
const pooled = data.pool || { names: [], uses: [] };
const several = pooled.names.length > 1;
const named = (index, text) => (several ? `${pooled.names[index] || "pool " + (index + 1)}: ${text}` : text);
// Lines of the first chart: of one pool with its limits, of several what was in use of each.
const useLines = pooled.names.flatMap((_, pool) => [
  { pool, label: named(pool, "most in use"), slot: `k${(3 * pool + 5) % 8}`, of: ({ most }, second) => most[second] },
  { pool, label: named(pool, "mean in use"), slot: `k${(3 * pool + 1) % 8}`, of: ({ mean }, second) => mean[second], dash: [2, 3] },
  ...(several ? [] : [
    { pool, label: "capacity", slot: "k7", of: ({ capacity }) => capacity, dash: [9, 3] },
    { pool, label: "back-pressure from", slot: "k4", of: ({ push_back }) => push_back, dash: [5, 3] },
  ]),
]);
const eventLines = ["refills", "spills", "steals", "misses", "waits"].map((label, event) => (
  { label, slot: ["k1", "k3", "k2", "k0", "k4"][event], of: ({ events }, second) => events[event][second], dash: [undefined, [9, 3], [2, 3], undefined, [5, 3]][event] }
));
const byUse = group(useLines, ["pool-use"]);
byUse.dash = (index) => useLines[index].dash;
const byEvent = group(eventLines, ["pool-events"]);
byEvent.dash = (index) => eventLines[index].dash;
const poolRows = (lines) => lines.map(({ pool, of }) => loadedTime.slots.map((slot) => {
  if (!slot) return null;
  const run = loaded.indexOf(slot.run);
  const values = pooled.uses
    .filter((use) => use.run === run && (pool === undefined || use.pool === pool))
    .map((use) => of(use, slot.second)).filter((value) => value != null);
  return values.length ? values.reduce((sum, value) => sum + value, 0) : null;
}));
const drawPool = (css) => {
  if (!pooled.uses.length) return;
  for (const [name, owner, unit] of [["pool-use", byUse, ""], ["pool-events", byEvent, "/s"]]) {
    const rows = poolRows(owner.lines);
    const highest = rows.flat().reduce((most, y) => Math.max(most, y ?? 0), 0);
    const show = (y) => count(y) + unit;
    drawSeconds(css, name, {
      time: loadedTime, owner, rows, range: [0, highest > 0 ? highest * 1.1 : 1], key: loadedSync.key,
      y: { scale: {}, show, axis: axis(css, { scale: "y", size: 62, space: 24, values: (u, splits) => splits.map((y) => count(y)) }) },
    });
  }
};
