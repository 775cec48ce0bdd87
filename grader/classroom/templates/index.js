"use strict";
const table = document.getElementById("table");
const body = table.tBodies[0];
const rows = [...body.rows];
const find = document.getElementById("find");
const show = document.getElementById("show");
const shown = document.getElementById("shown");
const texts = new Map(rows.map(row => [row, [...row.cells].slice(0, 2).map(cell => cell.textContent).join(" ").toLowerCase()]));
const tags = new Map(rows.map(row => [row, new Set(row.dataset.tags.split(" "))]));

function filter() {
  const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const row of rows) {
    const text = texts.get(row);
    const fits = words.every(word => text.includes(word)) && (!show.value || tags.get(row).has(show.value));
    row.hidden = !fits;
    count += fits;
  }
  shown.textContent = `${count} of ${rows.length} shown`;
}

const collator = new Intl.Collator(undefined, {numeric: true, sensitivity: "base"});

function sort(place, head) {
  const direction = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", direction === 1 ? "ascending" : "descending");
  const value = row => row.cells[place].dataset.value ?? row.cells[place].textContent;
  const compare = head.dataset.kind === "number" ? (a, b) => a - b : collator.compare;
  const keyed = rows.map((row, index) => [value(row), index, row]);
  keyed.sort((a, b) => direction * compare(a[0], b[0]) || a[1] - b[1]);
  body.append(...keyed.map(each => each[2]));
}

[...table.tHead.rows[0].cells].forEach((head, place) => {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...head.childNodes);
  head.append(button);
  button.addEventListener("click", () => sort(place, head));
});

for (const button of document.querySelectorAll("[data-show]")) {
  button.addEventListener("click", () => {
    show.value = button.dataset.show;
    find.value = "";
    filter();
    document.getElementById("students").scrollIntoView();
  });
}

document.querySelector(".filters").hidden = false;
document.querySelector(".filters").addEventListener("submit", event => event.preventDefault());
find.addEventListener("input", filter);
show.addEventListener("input", filter);
filter();
