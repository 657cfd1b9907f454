// The keys of a chart: name and colour of each line, its value under the cursor, a switch.
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
