"use strict";

// A tree of memory, drawn as nested areas or as a flame graph. Press an area to make it the whole, Escape to step
// back; the arrow keys go from area to area. What has nothing below it tells where an example of it is.

const kLevelsDrawn = 4;     // of nested areas
const kFlameHeight = 24;    // of one level
const kMostFlameLevels = 16;
const kSmallestCell = 4;    // pixels; smaller ones are not drawn
const kNarrowestNamed = 36;
const kNarrowestSized = 150;
const kLowestNamed = 15;
const kColors = 8;

// The rows of the data as objects that know their parent and children. What a row has beside its children becomes
// a child of its own, so that areas add up.
function treeOf(rows) {
  const nodes = rows.map((row) => ({ ...row, children: [], own: 0 }));
  for (const node of nodes) {
    node.parent = node.parent === null ? null : nodes[node.parent];
    if (node.parent !== null) node.parent.children.push(node);
  }
  for (const node of nodes) {
    let own = node.bytes;
    for (const child of node.children) own -= child.bytes;
    if (node.children.length === 0) {
      node.own = Math.max(node.bytes, 0);
    } else if (own > 0) {
      const itself = { ...node, name: `${node.name} itself`, kind: "itself", children: [], bytes: own, own, blocks: 0 };
      itself.parent = node;
      node.children.push(itself);
    }
  }
  return nodes[0];
}

// The same kind of block has the same colour everywhere.
function colorOf(node) {
  if (node.kind === "leaked") return "leaked";
  if (node.kind === "itself") return colorOf(node.parent);
  if (node.kind === "rest" || node.kind === "whole") return "plain";
  let hash = 7;
  for (const letter of node.name) hash = (hash * 31 + letter.codePointAt(0)) >>> 0;
  return `color-${hash % kColors}`;
}

class TreeMap {
  constructor(place) {
    this.place = place;
    this.root = treeOf(dataOf(place.dataset.tree));
    this.current = this.root;
    this.chosen = null;  // what has nothing below it, and was pressed
    this.isFlame = place.dataset.view === "flame";
    this.path = element("nav", "path");
    this.path.setAttribute("aria-label", "Where the picture is");
    this.views = element("div", "views", this.viewButton("Areas", false), this.viewButton("Flame graph", true));
    this.stage = element("div", "stage");
    this.stage.setAttribute("role", "group");
    this.stage.setAttribute("aria-label", `${place.dataset.label}: arrow keys, Enter and Escape`);
    this.stage.addEventListener("keydown", (event) => this.onKey(event));
    this.stage.addEventListener("mouseleave", () => this.tell(this.chosen ?? this.current));
    this.info = element("p", "info");
    this.info.setAttribute("aria-live", "polite");
    place.append(element("div", "tools", this.path, this.views), this.stage, this.info);
    place.hidden = false;
    new ResizeObserver(() => {
      if (place.clientWidth !== this.width) this.draw();
    }).observe(place);
    this.show(this.root);
  }

  viewButton(name, isFlame) {
    const made = button("view", name, () => {
      this.isFlame = isFlame;
      this.show(this.current);
    });
    made.dataset.flame = String(isFlame);
    return made;
  }

  show(node) {
    this.current = node;
    this.chosen = null;
    for (const view of this.views.children) {
      view.setAttribute("aria-pressed", String((view.dataset.flame === "true") === this.isFlame));
    }
    this.showPath();
    this.tell(node);
    this.draw();
  }

  showPath() {
    const steps = [];
    for (let node = this.current; node !== null; node = node.parent) {
      const step = button("step", node.name, () => this.show(node));
      if (node === this.current) step.setAttribute("aria-current", "true");
      steps.unshift(step);
    }
    this.path.replaceChildren(...steps);
  }

  choose(node) {
    this.chosen = node;
    this.tell(node);
  }

  // What is known of a node, below the picture.
  tell(node) {
    const parts = [element("strong", "", node.name), ` ${humanBytes(node.bytes)}, ` +
      `${percentOf(node.bytes, this.root.bytes)} of the whole`];
    if (node.blocks > 0) parts.push(`, ${counted(node.blocks, "block")}`);
    if (node.more) parts.push(element("span", "more", ` ${node.more}`));
    if (node.address) parts.push(node.kind === "root" ? " at " : ", for example ", element("code", "", node.address));
    const command = this.commandFor(node);
    if (command) parts.push(" ", element("code", "command", command));
    this.info.replaceChildren(...parts);
  }

  commandFor(node) {
    const { holds, look } = this.place.dataset;
    if (node.kind === "leaked") return node.cluster && look ? `${look} --cluster ${node.cluster}` : "";
    if (!holds || node.kind === "itself" || node.kind === "rest") return "";
    if (node.cluster && node.children.length > 0) return `${holds} ${node.cluster}`;
    return node.address && node.kind === "blocks" ? `${holds.replace(" holds ", " why ")} ${node.address}` : "";
  }

  draw() {
    const width = this.place.clientWidth;
    this.width = width;
    if (width === 0) return;
    const whole = d3.hierarchy(this.current).sum((node) => node.own);
    const drawn = this.isFlame ? this.layFlames(whole, width) : this.layAreas(whole, width);
    const focused = this.stage.contains(document.activeElement);
    this.stage.replaceChildren(...drawn.map((place) => this.cellOf(place)));
    const first = this.cells(this.isFlame ? 0 : 1)[0] ?? this.stage.firstElementChild;
    if (!first) return;
    first.tabIndex = 0;
    if (focused) first.focus();
  }

  layAreas(whole, width) {
    const height = Math.max(280, Math.min(520, Math.round(width * 0.46)));
    this.stage.style.height = `${height}px`;
    whole.sort((a, b) => b.value - a.value);
    d3.treemap().size([width, height]).round(true).paddingInner(2).paddingOuter(3)
      .paddingTop((node) => (node.depth > 0 && node.children && node.depth < kLevelsDrawn ? 22 : 3))(whole);
    return whole.descendants().filter((place) => place.depth <= kLevelsDrawn &&
      (place.depth > 0 || !place.children) && this.isVisible(place));
  }

  layFlames(whole, width) {
    const levels = Math.min(whole.height + 1, kMostFlameLevels);
    this.stage.style.height = `${levels * kFlameHeight}px`;
    whole.sort((a, b) => b.value - a.value);
    d3.partition().size([width, (whole.height + 1) * kFlameHeight]).padding(1)(whole);
    return whole.descendants().filter((place) => place.depth < levels && this.isVisible(place));
  }

  isVisible(place) {
    return place.x1 - place.x0 >= kSmallestCell && place.y1 - place.y0 >= kSmallestCell;
  }

  cellOf(place) {
    const node = place.data;
    const isLeaf = node.children.length === 0;
    const cell = button(`cell ${colorOf(node)} level-${Math.min(place.depth, 3)}${isLeaf ? " leaf" : ""}`, "", () => {
      if (isLeaf) this.choose(node);
      else this.show(place.depth === 0 && node.parent !== null ? node.parent : node);
    });
    cell.node = node;
    cell.tabIndex = -1;
    cell.dataset.level = String(place.depth);
    cell.style.left = `${place.x0}px`;
    cell.style.top = `${place.y0}px`;
    cell.style.width = `${place.x1 - place.x0}px`;
    cell.style.height = `${place.y1 - place.y0}px`;
    cell.setAttribute("aria-label", `${node.name}, ${humanBytes(node.bytes)}`);
    const width = place.x1 - place.x0;
    if (width > kNarrowestNamed && place.y1 - place.y0 > kLowestNamed) {
      cell.append(element("span", "name", node.name));
      if (width > kNarrowestSized) cell.append(element("span", "size", humanBytes(node.bytes)));
    }
    cell.addEventListener("mouseenter", () => this.tell(node));
    cell.addEventListener("focus", () => this.tell(node));
    return cell;
  }

  cells(level) {
    return [...this.stage.children].filter((cell) => level === undefined || cell.dataset.level === String(level));
  }

  onKey(event) {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (event.key === "Escape" && this.current.parent !== null) {
      this.show(this.current.parent);
    } else if (event.key in steps) {
      this.moveFocus(...steps[event.key]);
    } else {
      return;
    }
    event.preventDefault();
  }

  // To the nearest cell in that direction: in a flame graph of any level, among areas of the same one.
  moveFocus(right, down) {
    const from = document.activeElement;
    if (!this.stage.contains(from)) return;
    const here = from.getBoundingClientRect();
    let nearest = null;
    let least = Infinity;
    for (const cell of this.cells(this.isFlame ? undefined : from.dataset.level)) {
      const there = cell.getBoundingClientRect();
      const ahead = right !== 0 ? (right > 0 ? there.left - here.right : here.left - there.right)
        : (down > 0 ? there.top - here.bottom : here.top - there.bottom);
      if (cell === from || ahead < -2) continue;
      const aside = right !== 0 ? Math.abs(there.top - here.top) : Math.abs(there.left - here.left);
      const distance = Math.max(ahead, 0) + 2 * aside;
      if (distance < least) {
        least = distance;
        nearest = cell;
      }
    }
    if (nearest !== null) nearest.focus();
  }
}
