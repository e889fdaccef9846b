"use strict";

// What the page does once it is there.

// A group that is linked to is opened.
function openTarget() {
  const target = location.hash.length > 1 ? document.getElementById(location.hash.slice(1)) : null;
  if (target instanceof HTMLDetailsElement) {
    target.open = true;
    target.scrollIntoView();
  }
}

// A command is selected whole by one click.
function selectCommand(event) {
  if (!(event.target instanceof Element) || !event.target.matches("code.command")) return;
  getSelection().selectAllChildren(event.target);
}

for (const place of document.querySelectorAll(".map")) {
  new TreeMap(place);
  place.parentElement.querySelector("details.list").open = false;
}
for (const table of document.querySelectorAll("table[data-sortable]")) {
  if (table.tBodies[0].rows.length > 0) new SortableTable(table);
}
window.addEventListener("hashchange", openTarget);
document.addEventListener("click", selectCommand);
openTarget();
document.documentElement.dataset.ready = "true";
