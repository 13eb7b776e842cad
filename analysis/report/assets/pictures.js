// The pictures: drawn when they come into view, the rest when the browser has nothing to do.

const CONFIG = { responsive: true, displaylogo: false };

function plots() {
  return [...document.querySelectorAll(".plot")];
}

function startPictures(page) {
  page.seen?.disconnect();
  page.seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting) {
        draw(page, entry.target);
      }
    }
  }, { rootMargin: "400px" });
  for (const plot of plots()) {
    page.seen.observe(plot);
  }
  whenIdle(page);
}

// paper has no scrolling: what is printed must have been drawn
function whenIdle(page) {
  const next = plots().find((plot) => !plot.dataset.drawn);
  if (next) {
    requestIdleCallback(async () => {
      await draw(page, next);
      whenIdle(page);
    }, { timeout: 50 });
  } else {
    document.body.dataset.pictures = "drawn";
  }
}

async function draw(page, plot) {
  if (plot.dataset.drawn) {
    return;
  }
  plot.dataset.drawn = "yes";
  const name = plot.dataset.picture;
  const figure = (await page.pictures())[name];
  restoreBrush(page, name, figure);
  await Plotly.react(plot, figure.data, figure.layout, CONFIG);
  if (figure.data.some((trace) => trace.type === "parcoords")) {
    plot.removeAllListeners("plotly_restyle");
    plot.on("plotly_restyle", () => brush(page, name, plot));
  }
}

function restoreBrush(page, name, figure) {
  for (const trace of figure.data.filter((candidate) => candidate.type === "parcoords")) {
    for (const dimension of trace.dimensions) {
      const kept = page.brushes[name]?.[dimension.label];
      if (kept) {
        dimension.constraintrange = kept;
      } else {
        delete dimension.constraintrange;
      }
    }
  }
}

function brush(page, name, plot) {
  const trace = plot.data.find((candidate) => candidate.type === "parcoords");
  const kept = {};
  for (const dimension of trace.dimensions) {
    if (dimension.constraintrange?.length) {
      kept[dimension.label] = dimension.constraintrange;
    }
  }
  page.brushes[name] = kept;
  applyBrushes(page);
  showTable(page);
}

// what lies in no brushed picture is not restricted by it, what lies in one must pass there
function applyBrushes(page) {
  let brushed = null;
  for (const [name, kept] of Object.entries(page.brushes)) {
    if (Object.keys(kept).length) {
      brushed = new Set([...brushed ?? [], ...passing(page, name, kept)]);
    }
  }
  page.filter.brushed = brushed;
}

// the lines are a front's configurations, in the order of its table
function passing(page, name, kept) {
  const figure = page.figures?.[name];
  const trace = figure?.data.find((candidate) => candidate.type === "parcoords");
  if (!trace) {
    return [];
  }
  const dimensions = trace.dimensions.filter((dimension) => kept[dimension.label]);
  const lines = trace.dimensions[0].values.map((_, line) => line);
  return lines.filter((line) => dimensions.every((dimension) => {
    const ranges = kept[dimension.label];
    const several = Array.isArray(ranges[0]) ? ranges : [ranges];
    return several.some(([low, high]) => low <= dimension.values[line]
      && dimension.values[line] <= high);
  })).map((line) => `${figure.front}/${line}`);
}

async function resetBrushes(page) {
  page.brushes = {};
  page.filter.brushed = null;
  for (const plot of plots().filter((candidate) => candidate.dataset.drawn)) {
    const figure = (await page.pictures())[plot.dataset.picture];
    if (figure.data.some((trace) => trace.type === "parcoords")) {
      restoreBrush(page, plot.dataset.picture, figure);
      await Plotly.react(plot, figure.data, figure.layout, CONFIG);
    }
  }
}
