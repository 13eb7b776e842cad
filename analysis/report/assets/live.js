// While a study runs: asks the server for its state, and fetches the page's parts when it changed.

const ASK_AGAIN_MS = 1500;
const PARTS = ["question", "findings", "design", "pictures", "reproduction"];

async function watch(page, state) {
  for (;;) {
    await new Promise((resolve) => { setTimeout(resolve, ASK_AGAIN_MS); });
    try {
      const now = await (await fetch("/state.json", { cache: "no-store" })).json();
      showState(now.text);
      if (now.version !== state.version) {
        const answer = await fetch("/parts.html", { cache: "no-store" });
        await renew(page, await answer.text());
        state.version = now.version;
      }
    } catch {
      showState("The server does not answer; what is shown is the last that it told.");
    }
  }
}

function showState(text) {
  const line = byId("live");
  line.hidden = false;
  if (line.textContent !== text) {
    line.textContent = text;
  }
}

// the server has escaped what is in it, and scripts of a parsed document never run
async function renew(page, text) {
  const fresh = new DOMParser().parseFromString(text, "text/html");
  const errors = new Map(page.data.keys.map((key, row) => [key, page.data.errors[row]]));
  page.load(fresh);
  // a cell that failed may have been tried again since
  page.data.keys.forEach((key, row) => {
    if (errors.get(key) !== page.data.errors[row]) {
      page.view.details.delete(key);
    }
  });
  await page.pictures();
  for (const plot of plots()) {
    Plotly.purge(plot);
  }
  for (const id of PARTS) {
    byId(id).replaceWith(document.adoptNode(fresh.getElementById(id)));
  }
  applyBrushes(page);
  page.show();
  startPictures(page);
}
