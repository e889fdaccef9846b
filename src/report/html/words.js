"use strict";

// Words and elements, as the other scripts need them.

// "39.0 MiB", as the report writes it.
function humanBytes(bytes) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let unit = 0;
  while (bytes >= 1024 && unit + 1 < units.length) {
    bytes /= 1024;
    unit += 1;
  }
  return unit === 0 ? `${bytes} B` : `${bytes.toFixed(1)} ${units[unit]}`;
}

function counted(number, noun) {
  return `${number.toLocaleString("en-US")} ${noun}${number === 1 ? "" : "s"}`;
}

function percentOf(part, whole) {
  const percent = whole > 0 ? (100 * part) / whole : 0;
  return percent > 0 && percent < 1 ? "less than 1 %" : `${percent.toFixed(0)} %`;
}

// An element with a class and children; a string becomes text, never markup.
function element(tag, css, ...children) {
  const made = document.createElement(tag);
  if (css) made.className = css;
  made.append(...children);
  return made;
}

function button(css, label, whenPressed) {
  const made = element("button", css, label);
  made.type = "button";
  made.addEventListener("click", whenPressed);
  return made;
}

// The JSON that the page carries under an id.
function dataOf(id) {
  const data = document.getElementById(id);
  return data === null ? null : JSON.parse(data.textContent);
}
