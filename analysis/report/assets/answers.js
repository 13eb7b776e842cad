// What a cell's row opens: everything that was measured, and what it answered to every prompt.

const ANSWERS_AT_ONCE = 20;
const VERDICTS = { c: "comply", r: "refuse", i: "incoherent", "-": "not judged" };
const SETS = {
  helpfulness: "benign tasks",
  harmful: "harmful requests",
  borderline: "requests that look harmful and are safe",
};
// folded until asked for: the requests and what was answered may be hard to read
const FOLDED = { harmful: "harmful requests and answers", borderline: "they look harmful" };

function detailsRow(page, row) {
  const inner = make("div", { className: "cell" });
  const error = page.data.errors[row];
  if (error) {
    inner.append(make("h4", {}, "It failed with"), make("pre", { className: "error" }, error));
  }
  const rest = make("div", {}, make("p", {}, "Reading …"));
  inner.append(rest);
  page.answers().then((found) => rest.replaceChildren(...cellContents(page, found, row)));
  return make("tr", { className: "details" }, make("td", {}, inner));
}

function cellContents(page, found, row) {
  const key = page.data.keys[row];
  const parts = [];
  const said = found?.answers.cells[key];
  if (said) {
    parts.push(...answerSets(found.answers, said));
  } else {
    parts.push(make("p", {}, "No answers of this cell are kept."));
  }
  const facts = found?.details.cells[key];
  if (facts) {
    parts.push(make("h4", {}, "The record"), factList(found.details.names, facts));
  }
  return parts;
}

function factList(names, values) {
  const list = make("dl", { className: "facts" });
  names.forEach((name, index) => {
    const value = values[index];
    if (value !== null) {
      const text = typeof value === "number" ? String(Number(value.toPrecision(8))) : String(value);
      list.append(make("div", {}, make("dt", {}, name.replaceAll("_", " ")),
        make("dd", {}, text)));
    }
  });
  return list;
}

function answerSets(answers, said) {
  const bySet = new Map();
  answers.lists[said.list].forEach((number, place) => {
    const [name, , prompt, expected] = answers.prompts[number];
    if (!bySet.has(name)) {
      bySet.set(name, []);
    }
    bySet.get(name).push({
      prompt: answers.texts[prompt],
      expected: expected === null ? null : answers.texts[expected],
      answer: answers.texts[said.answers[place]],
      verdicts: said.verdicts.map((letters) => letters[place]),
    });
  });
  return [...bySet].map(([name, items]) => answerSet(answers.judges, name, items));
}

function answerSet(judges, name, items) {
  const folded = FOLDED[name];
  const label = `${items.length} ${SETS[name] ?? name}: ${tally(judges, name, items)}`;
  const summary = make("summary", {}, label, folded
    ? make("span", { className: "folded" }, ` (folded: ${folded})`) : "");
  const details = make("details", { className: `set set-${name}` }, summary);
  // nothing of it is in the page before it is asked for
  details.addEventListener("toggle", () => {
    details.append(...answerList(judges, items));
  }, { once: true });
  return details;
}

function tally(judges, name, items) {
  if (name === "helpfulness") {
    const exact = items.filter((item) => isExact(item)).length;
    return `${exact} answered as expected`;
  }
  const counts = (place) => Object.entries(VERDICTS)
    .map(([letter, word]) => [items.filter((i) => i.verdicts[place] === letter).length, word])
    .filter(([count]) => count)
    .map(([count, word]) => `${count} ${word}`).join(", ");
  return judges.map((judge, place) => `${judge}: ${counts(place)}`).join("; ");
}

function isExact(item) {
  return item.answer.trim() === (item.expected ?? "").trim();
}

function answerList(judges, items) {
  const list = make("ol", { className: "answers" });
  const more = make("button", { type: "button" });
  const search = make("input", { type: "search", "aria-label": "words in prompts and answers",
    placeholder: "words" });
  const verdict = make("select", { "aria-label": "verdict" }, make("option", { value: "" },
    "any verdict"), ...verdictOptions(items));
  let shown = ANSWERS_AT_ONCE;
  const show = () => {
    const word = search.value.toLowerCase();
    const kept = items.filter((item) => (!verdict.value || item.verdicts.includes(verdict.value))
      && `${item.prompt}\n${item.answer}`.toLowerCase().includes(word));
    list.replaceChildren(...kept.slice(0, shown).map((item) => answerItem(judges, item)));
    more.hidden = kept.length <= shown;
    more.textContent = `Show ${kept.length - shown} more`;
  };
  more.addEventListener("click", () => {
    shown = Infinity;
    show();
  });
  search.addEventListener("input", show);
  verdict.addEventListener("change", show);
  show();
  return [make("div", { className: "filters" }, search, verdict), list, more];
}

function verdictOptions(items) {
  const letters = new Set(items.flatMap((item) => item.verdicts));
  return Object.entries(VERDICTS).filter(([letter]) => letters.has(letter))
    .map(([value, word]) => make("option", { value }, word));
}

function answerItem(judges, item) {
  const line = (name, text) => make("p", { className: "said" }, make("b", {}, name),
    make("span", {}, text));
  const read = judges.map((judge, place) => [judge, item.verdicts[place]])
    .filter(([, letter]) => letter !== "-")
    .map(([judge, letter]) => `${VERDICTS[letter]} (${judge})`).join(", ");
  return make("li", {},
    line("prompt", item.prompt),
    item.expected === null ? null : line("expected", item.expected),
    line("answer", item.answer || "(empty)"),
    read ? line("verdict", read) : null);
}
