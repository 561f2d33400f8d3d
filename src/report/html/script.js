// A cursor for each chart. It reads the table behind the chart, so it cannot say anything the table does not.
"use strict";
for (const plot of document.querySelectorAll(".plot")) {
  const table = plot.parentElement.querySelector(".data table");
  const tip = plot.querySelector(".tip");
  const line = plot.querySelector(".cursor");
  const width = plot.querySelector("svg").viewBox.baseVal.width;
  const places = plot.dataset.x.split(" ").map(Number);
  const rows = table.tBodies[0].rows;
  const names = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
  let at = -1;

  const time = (ms) => {
    const [value, unit] = ms >= 1000 ? [ms / 1000, "s"] : ms >= 1 ? [ms, "ms"] : [ms * 1000, "µs"];
    return Number(value.toPrecision(3)) + unit;
  };
  const shown = (name, cell) => {
    if (cell === "") return "none";
    if (name.endsWith(" (ms)")) return time(Number(cell));
    if (name.endsWith(" (s)")) return cell + "s";
    return cell.endsWith("%") ? cell : Number(cell).toLocaleString("en");
  };
  const label = (name) => name.replace(/ \((ms|s)\)$/, "");

  const show = (index) => {
    at = Math.max(0, Math.min(rows.length - 1, index));
    const cells = [...rows[at].cells].map((cell) => cell.textContent.trim());
    tip.textContent = cells.map((cell, n) => label(names[n]) + "  " + shown(names[n], cell)).join("\n");
    line.setAttribute("x1", places[at]);
    line.setAttribute("x2", places[at]);
    plot.classList.add("on");
    const left = (places[at] / width) * plot.clientWidth;
    const room = plot.clientWidth - tip.offsetWidth;
    tip.style.left = Math.max(0, Math.min(room, left > plot.clientWidth / 2 ? left - tip.offsetWidth - 10 : left + 10)) + "px";
  };
  const hide = () => {
    at = -1;
    plot.classList.remove("on");
  };

  plot.addEventListener("pointermove", (event) => {
    const box = plot.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * width;
    let best = 0;
    places.forEach((place, n) => {
      if (Math.abs(place - x) < Math.abs(places[best] - x)) best = n;
    });
    if (best !== at) show(best);
  });
  plot.addEventListener("pointerleave", hide);
  plot.addEventListener("blur", hide);
  plot.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity }[event.key];
    if (event.key === "Escape") hide();
    if (move === undefined) return;
    event.preventDefault();
    // The first key enters the chart at the side it points away from; Home and End go where they always go.
    const from = at < 0 ? (move < 0 ? rows.length : -1) : at;
    show(from + move);
  });
}
