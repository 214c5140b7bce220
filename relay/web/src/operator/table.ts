// A table that changes only what changed: rows keep their elements, cells are replaced when their content differs, so
// focus, selection and scroll position survive a new figure each second.

import { el, type Child } from "./dom";

export interface Column<Row> {
  readonly title: string;
  readonly kind?: "figure" | "action";
  /** All that the cell depends on; it is made anew only when this differs. */
  depends(row: Row): string;
  cell(row: Row): readonly Child[];
}

interface Line<Row> {
  readonly element: HTMLTableRowElement;
  readonly depends: string[];
  row: Row;
  /** Below it, while something is open. */
  below: HTMLTableRowElement | null;
}

export class Table<Row> {
  readonly element: HTMLElement;
  private readonly body = el("tbody");
  private readonly empty: HTMLElement;
  private readonly scroll: HTMLElement;
  private readonly lines = new Map<string, Line<Row>>();

  constructor(
    label: string,
    empty: string,
    private readonly columns: readonly Column<Row>[],
    private readonly idOf: (row: Row) => string,
    /** What is open below a row. */
    private readonly below: (row: Row) => HTMLElement | null = () => null,
  ) {
    const heads = columns.map((column) =>
      el(
        "th",
        { scope: "col", class: column.kind ?? null },
        column.kind === "action" ? el("span", { class: "visually-hidden" }, column.title) : column.title,
      ),
    );
    this.empty = el("p", { class: "empty" }, empty);
    this.scroll = el(
      "div",
      { class: "scroll", role: "region", "aria-label": label, tabindex: "0" },
      el("table", {}, el("thead", {}, el("tr", {}, ...heads)), this.body),
    );
    this.element = el("div", { class: "card" }, this.empty, this.scroll);
  }

  show(rows: readonly Row[]): void {
    this.empty.hidden = rows.length > 0;
    this.scroll.hidden = rows.length === 0;
    const wanted = new Set(rows.map(this.idOf));
    for (const [id, line] of this.lines) {
      if (wanted.has(id)) continue;
      line.element.remove();
      line.below?.remove();
      this.lines.delete(id);
    }
    rows
      .flatMap((row) => this.line(row))
      .forEach((element, index) => {
        if (this.body.children[index] !== element) this.body.insertBefore(element, this.body.children[index] ?? null);
      });
  }

  private line(row: Row): HTMLElement[] {
    const id = this.idOf(row);
    const known = this.lines.get(id);
    const line = known ?? { element: el("tr", { id, tabindex: "-1" }), depends: [], row, below: null };
    line.row = row;
    this.columns.forEach((column, index) => {
      const depends = column.depends(row);
      const old = line.element.children[index];
      if (old && line.depends[index] === depends) return;
      line.depends[index] = depends;
      const cell = el("td", { class: column.kind ?? null }, ...column.cell(row));
      if (old) line.element.replaceChild(cell, old);
      else line.element.append(cell);
    });
    if (!known) this.lines.set(id, line);
    return this.open(line);
  }

  private open(line: Line<Row>): HTMLElement[] {
    const inside = this.below(line.row);
    if (!inside) {
      line.below?.remove();
      line.below = null;
      return [line.element];
    }
    if (line.below?.firstElementChild?.firstElementChild !== inside) {
      line.below?.remove();
      line.below = el("tr", { class: "below" }, el("td", { colspan: String(this.columns.length) }, inside));
    }
    return [line.element, line.below!];
  }
}
