// Which cells are shown: by factor, by words, by range, by the front, by failure, by brushing.

const ANY = "\u0000any";
const NONE = "\u0000none";

function emptyFilter() {
  return { factors: {}, words: "", ranges: {}, onFront: false, failed: false, brushed: null };
}

// `brushed` is null, or the configurations that lie within the brushed parts of the axes
function passes(data, filter, row) {
  if (filter.onFront && !data.onFront[row]) {
    return false;
  }
  if (filter.failed && !data.failed[row]) {
    return false;
  }
  if (filter.brushed && !filter.brushed.has(configurationOf(data, row))) {
    return false;
  }
  return passesFactors(data, filter, row) && passesRanges(data, filter, row)
    && passesWords(data, filter, row);
}

function configurationOf(data, row) {
  const configuration = data.configurations[row];
  return configuration === null ? "" : `${data.front[row]}/${configuration}`;
}

function passesFactors(data, filter, row) {
  return Object.entries(filter.factors).every(([key, wanted]) => {
    const column = data.columns.find((candidate) => candidate.key === key);
    return !column || (column.values[row] ?? NONE) === wanted;
  });
}

function passesRanges(data, filter, row) {
  return Object.entries(filter.ranges).every(([key, [low, high]]) => {
    const column = data.columns.find((candidate) => candidate.key === key);
    if (!column) {
      return true;
    }
    const value = column.values[row];
    if (value === null) {
      return false;
    }
    // a limit is typed as the table shows the numbers
    const shown = Number((value * column.scale).toFixed(column.digits));
    return (low === null || shown >= low) && (high === null || shown <= high);
  });
}

function passesWords(data, filter, row) {
  const words = filter.words.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) {
    return true;
  }
  const texts = data.columns.filter((column) => column.kind === "text")
    .map((column) => column.values[row] ?? "");
  const text = [data.cells[row], data.errors[row] ?? "", ...texts].join(" ").toLowerCase();
  return words.every((word) => text.includes(word));
}

// builds the controls anew, keeping what they were set to; `changed` is called after each change
function showFilters(container, { data, filter, view, changed }) {
  const focused = container.contains(document.activeElement) ? document.activeElement.name : null;
  const open = container.querySelector("details")?.open ?? false;
  const factors = data.columns.filter((column) => column.factor);
  const numbers = data.columns.filter((column) => column.kind === "number");
  const ranges = make("details", { open }, make("summary", {}, "Limit by numbers"),
    make("div", { className: "ranges" },
      ...numbers.map((column) => rangeControl(column, filter, changed))));
  container.replaceChildren(
    wordsControl(filter, changed),
    ...factors.map((column) => factorControl(column, filter, changed)),
    ...checkControls(data, filter, changed),
    columnsControl(data, view, changed),
    make("button", { type: "button", name: "reset", onclick: () => changed("reset") },
      "Reset all filters"),
    ...(numbers.length ? [ranges] : []),
  );
  if (focused) {
    container.querySelector(`[name="${CSS.escape(focused)}"]`)?.focus();
  }
}

function wordsControl(filter, changed) {
  const input = make("input", { type: "search", name: "words", value: filter.words });
  input.addEventListener("input", () => {
    filter.words = input.value;
    changed();
  });
  return make("label", {}, "words", input);
}

function factorControl(column, filter, changed) {
  const select = make("select", { name: `factor-${column.key}` });
  const levels = [...new Set(column.values.map((value) => value ?? NONE))];
  levels.sort((one, other) => one.localeCompare(other, "en", { numeric: true }));
  const kept = filter.factors[column.key];
  if (kept !== undefined && !levels.includes(kept)) {
    levels.push(kept);
  }
  select.append(make("option", { value: ANY }, "any"));
  for (const level of levels) {
    select.append(make("option", { value: level }, level === NONE ? "(none)" : level));
  }
  select.value = kept ?? ANY;
  select.addEventListener("change", () => {
    if (select.value === ANY) {
      delete filter.factors[column.key];
    } else {
      filter.factors[column.key] = select.value;
    }
    changed();
  });
  return make("label", {}, column.label, select);
}

function checkControls(data, filter, changed) {
  const wanted = [
    ["onFront", "on the front only", data.onFront.includes(true)],
    ["failed", "failed only", data.failed.includes(true)],
  ];
  return wanted.filter(([key, , useful]) => useful || filter[key]).map(([key, label]) => {
    const input = make("input", { type: "checkbox", name: key, checked: filter[key] });
    input.addEventListener("change", () => {
      filter[key] = input.checked;
      changed();
    });
    return make("label", { className: "check" }, input, label);
  });
}

// not a filter, and not reset: which columns are shown
function columnsControl(data, view, changed) {
  if (data.columns.every((column) => column.main)) {
    return "";
  }
  const input = make("input", { type: "checkbox", name: "all", checked: view.all });
  input.addEventListener("change", () => {
    view.all = input.checked;
    changed();
  });
  return make("label", { className: "check" }, input, "all measures");
}

function rangeControl(column, filter, changed) {
  const limits = filter.ranges[column.key] ?? [null, null];
  const inputs = ["least", "most"].map((end, index) => {
    const input = make("input", {
      type: "number", step: "any", name: `${column.key}-${end}`, placeholder: end,
      value: limits[index] ?? "", "aria-label": `${column.label}, at ${end}`,
    });
    input.addEventListener("input", () => {
      const range = filter.ranges[column.key] ?? [null, null];
      range[index] = input.value === "" ? null : Number(input.value);
      filter.ranges[column.key] = range;
      if (range.every((limit) => limit === null)) {
        delete filter.ranges[column.key];
      }
      changed();
    });
    return input;
  });
  const unit = column.unit ? `, ${column.unit}` : "";
  return make("fieldset", {}, make("legend", {}, `${column.label}${unit}`), inputs[0], " to ",
    inputs[1]);
}
