"use strict";

// Tables that are sorted by any column and filtered by words. Of many rows only those near the window are in the
// page, and more come as it scrolls; all of them before it is printed. Rows beyond the first lie beside the table as
// text, which is what a browser that runs scripts takes <noscript> for, until somebody wants them.

const kRowsAtOnce = 150;
const kRowsWorthFiltering = 12;

class SortableTable {
  constructor(table) {
    this.table = table;
    this.body = table.tBodies[0];
    this.rows = [...this.body.rows];
    this.shown = this.rows;  // in their order, of which the page has the first
    this.words = [];
    const beside = table.parentElement.nextElementSibling;
    this.rest = beside !== null && beside.matches("noscript.rows") ? beside : null;
    this.rowCount = Number(table.dataset.sortable);
    this.sortedBy = null;
    this.isAscending = false;
    this.headings = [...table.tHead.rows[0].cells];
    this.headings.forEach((heading, column) => this.makeSortable(heading, column));
    if (this.rowCount >= kRowsWorthFiltering) this.addFilter();
    this.end = element("div", "end");
    (this.rest ?? table.parentElement).after(this.end);
    new IntersectionObserver((entries) => {
      if (entries.some((entry) => entry.isIntersecting)) this.showMore(kRowsAtOnce);
    }, { rootMargin: "1200px" }).observe(this.end);
    window.addEventListener("beforeprint", () => this.showMore(this.rowCount));
  }

  makeSortable(heading, column) {
    if (heading.textContent.trim() === "" || heading.querySelector("svg")) return;
    const name = [...heading.childNodes];
    const sort = button("sort", "", () => this.sortBy(column));
    sort.append(...name);
    heading.replaceChildren(sort);
  }

  addFilter() {
    const field = element("input", "filter");
    field.type = "search";
    field.placeholder = "Filter";
    field.setAttribute("aria-label", "Filter the rows of the table");
    this.count = element("span", "more", counted(this.rowCount, "row"));
    field.addEventListener("input", () => this.filterBy(field.value));
    this.table.parentElement.before(element("div", "tools", field, this.count));
  }

  // What a row is compared by: a number, or the text of its cell.
  keyOf(row, column) {
    const cell = row.cells[column];
    return cell.dataset.value === undefined ? cell.textContent.trim().toLowerCase() : Number(cell.dataset.value);
  }

  sortBy(column) {
    this.takeRest();
    const isNumber = this.rows[0].cells[column].dataset.value !== undefined;
    this.isAscending = this.sortedBy === column ? !this.isAscending : !isNumber;
    this.sortedBy = column;
    this.headings.forEach((heading, i) => {
      if (i === column) heading.setAttribute("aria-sort", this.isAscending ? "ascending" : "descending");
      else heading.removeAttribute("aria-sort");
    });
    const sign = this.isAscending ? 1 : -1;
    const keyed = this.rows.map((row) => ({ row, key: this.keyOf(row, column) }));
    keyed.sort((a, b) => (a.key < b.key ? -sign : a.key > b.key ? sign : 0));
    this.rows = keyed.map((entry) => entry.row);
    this.showMatching();
  }

  filterBy(text) {
    this.takeRest();
    this.words = text.toLowerCase().split(/\s+/).filter((word) => word !== "");
    this.showMatching();
    this.count.textContent = this.words.length === 0 ? counted(this.rowCount, "row")
      : `${this.shown.length.toLocaleString("en-US")} of ${counted(this.rowCount, "row")}`;
  }

  // From text to rows.
  takeRest() {
    if (this.rest === null) return;
    const page = new DOMParser().parseFromString(this.rest.textContent, "text/html");
    this.rows = [...this.rows, ...page.querySelectorAll("tbody > tr")];
    this.shown = this.rows;
    this.rest.remove();
    this.rest = null;
  }

  // The rows that have all the words, in their order.
  showMatching() {
    this.shown = this.words.length === 0 ? this.rows : this.rows.filter((row) => {
      const content = row.textContent.toLowerCase();
      return this.words.every((word) => content.includes(word));
    });
    this.body.replaceChildren(...this.shown.slice(0, kRowsAtOnce));
  }

  showMore(count) {
    const there = this.body.rows.length;
    if (there + count > this.shown.length) this.takeRest();
    this.body.append(...this.shown.slice(there, there + count));
  }
}
