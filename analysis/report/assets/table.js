// The table of cells: sorted, filtered, a page of rows at a time; a row opens what the cell said.

const ROWS_AT_ONCE = 300;

function emptyView() {
  return {
    sorted: null, descending: false, rows: ROWS_AT_ONCE, all: false, opened: new Set(),
    details: new Map(),
  };
}

function shownColumns(data, view) {
  return data.columns.filter((column) => column.main || view.all);
}

function chosenRows(data, filter, view) {
  const rows = data.keys.map((key, row) => row).filter((row) => passes(data, filter, row));
  const column = data.columns.find((candidate) => candidate.key === view.sorted);
  if (column) {
    const sign = view.descending ? -1 : 1;
    rows.sort((one, other) => compare(column, one, other, sign) || one - other);
  }
  return rows;
}

// what is missing stands last, whichever way it is sorted
function compare(column, one, other, sign) {
  const [left, right] = [column.values[one], column.values[other]];
  if (left === null || right === null) {
    return Number(left === null) - Number(right === null);
  }
  if (column.kind === "number") {
    return sign * (left - right);
  }
  return sign * left.localeCompare(right, "en", { numeric: true });
}

// opened rows are kept as they are, with what a reader has unfolded in them
function showTable(page) {
  const { data, filter, view } = page;
  const focused = document.activeElement;
  const rows = chosenRows(data, filter, view);
  const columns = shownColumns(data, view);
  showHead(page, columns);
  const body = byId("table").tBodies[0];
  const fresh = document.createDocumentFragment();
  for (const row of rows.slice(0, view.rows)) {
    fresh.append(cellRow(page, columns, row));
    if (view.opened.has(data.keys[row])) {
      fresh.append(keptDetails(page, columns, row));
    }
  }
  body.replaceChildren(fresh);
  if (focused !== document.activeElement && focused.isConnected) {
    focused.focus({ preventScroll: true });
  }
  byId("count").textContent = countText(data, filter, rows.length);
  const more = byId("more");
  more.hidden = rows.length <= view.rows;
  more.textContent = `Show ${plural(Math.min(rows.length - view.rows, ROWS_AT_ONCE), "more row")}`;
}

function keptDetails(page, columns, row) {
  const { details } = page.view;
  const key = page.data.keys[row];
  if (!details.has(key)) {
    details.set(key, detailsRow(page, row));
  }
  const kept = details.get(key);
  kept.cells[0].colSpan = columns.length + 1;
  return kept;
}

function countText(data, filter, shown) {
  const brushed = filter.brushed ? " Brushed in the parallel coordinates." : "";
  if (!data.keys.length) {
    return "There is no cell yet.";
  }
  return `${shown} of ${plural(data.keys.length, "cell")} shown.${brushed}`;
}

function showHead(page, columns) {
  const { view } = page;
  const heads = columns.map((column) => {
    const direction = view.descending ? "descending" : "ascending";
    const sorted = view.sorted === column.key;
    const arrow = sorted ? (view.descending ? " ↓" : " ↑") : "";
    const button = make("button", { type: "button", name: `sort-${column.key}` },
      `${column.label}${arrow}`);
    button.addEventListener("click", () => {
      view.descending = sorted ? !view.descending : column.kind === "number";
      view.sorted = column.key;
      showTable(page);
      byId("table").querySelector(`[name="${CSS.escape(`sort-${column.key}`)}"]`).focus();
    });
    return make("th", {
      scope: "col", className: column.kind, "aria-sort": sorted ? direction : "none",
    }, button, make("small", {}, column.unit + (column.errors ? " ± SE" : "")));
  });
  const first = make("th", { scope: "col" }, "cell");
  byId("table").tHead.replaceChildren(make("tr", {}, first, ...heads));
}

function cellRow(page, columns, row) {
  const { data, view } = page;
  const open = view.opened.has(data.keys[row]);
  const button = make("button", {
    type: "button", className: "open", "aria-expanded": String(open), title: data.cells[row],
  }, `${open ? "▾" : "▸"} ${data.cells[row].slice(0, 12)}`);
  button.addEventListener("click", () => toggle(page, row));
  const cells = columns.map((column) => valueCell(column, row));
  const first = make("th", { scope: "row", className: data.onFront[row] ? "front" : "" }, button,
    data.onFront[row] ? make("span", { className: "hidden" }, "on the front") : null);
  const classes = data.failed[row] ? "failed" : "";
  return make("tr", { className: classes, "data-key": data.keys[row] }, first, ...cells);
}

function valueCell(column, row) {
  const value = column.values[row];
  if (column.kind === "text") {
    return make("td", {}, value ?? "–");
  }
  if (value === null) {
    return make("td", { className: "number" }, "–");
  }
  const error = column.errors?.[row] ?? null;
  const shown = (number) => (number * column.scale).toFixed(column.digits);
  return make("td", { className: "number" }, shown(value),
    error === null ? null : make("small", {}, ` ±${shown(error)}`));
}

function toggle(page, row) {
  const key = page.data.keys[row];
  const { opened } = page.view;
  if (opened.delete(key)) {
    page.view.details.delete(key);
  } else {
    opened.add(key);
  }
  showTable(page);
  byId("table").querySelector(`tr[data-key="${CSS.escape(key)}"] .open`).focus();
}
