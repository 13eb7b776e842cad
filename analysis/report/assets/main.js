// Puts the page together: data from its JSON parts, then the table at once, then the pictures.

const page = {
  filter: emptyFilter(),
  view: emptyView(),
  brushes: {},
};

page.load = (source) => {
  page.data = readJson(source, "data-table");
  const texts = ["data-pictures", "data-answers"].map((id) => source.getElementById(id).textContent);
  let pictures = null;
  let answers = null;
  page.pictures = () => {
    pictures ??= readPacked(texts[0]).then((found) => {
      page.figures = found ?? {};
      return page.figures;
    });
    return pictures;
  };
  // read when the first row is opened
  page.answers = () => {
    answers ??= readPacked(texts[1]);
    return answers;
  };
};

page.show = () => {
  showFilters(byId("filters"), page);
  showTable(page);
};

page.changed = async (what) => {
  page.view.rows = ROWS_AT_ONCE;
  if (what === "reset") {
    page.filter = emptyFilter();
    await resetBrushes(page);
    showFilters(byId("filters"), page);
  }
  showTable(page);
};

page.load(document);
page.show();
byId("more").addEventListener("click", () => {
  page.view.rows += ROWS_AT_ONCE;
  showTable(page);
});
const widths = new ResizeObserver(([entry]) => {
  document.documentElement.style.setProperty("--seen", `${entry.contentRect.width}px`);
});
widths.observe(document.querySelector(".scroll"));
document.addEventListener("DOMContentLoaded", () => {
  startPictures(page);
  const settings = readJson(document, "data-page");
  if (settings.live) {
    watch(page, settings.live);
  }
});
