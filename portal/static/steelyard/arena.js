// Contests: what is typed survives a reload; a battle's two answers arrive together, without a name; and when the last
// answer has ended, the page shows what can be done next.

// --- Drafts: kept in this tab for each form until the server has taken the prompt

const KEPT = "contest-draft:";
const SENT = "contest-sent";

function keptText(form) {
  return KEPT + form.dataset.keepsText;
}

function onShelf(act) {
  try {
    return act(sessionStorage);
  } catch {
    // Storage is full or forbidden: the page works without drafts.
    return null;
  }
}

function keepText(field) {
  if (field.name !== "prompt" || !field.form?.dataset.keepsText) return;
  const key = keptText(field.form);
  onShelf((shelf) => (field.value ? shelf.setItem(key, field.value) : shelf.removeItem(key)));
}

function restoreTexts() {
  for (const form of document.querySelectorAll("form[data-keeps-text]")) {
    const field = form.elements.prompt;
    const kept = onShelf((shelf) => shelf.getItem(keptText(form)));
    if (kept !== null && !field.value) field.value = kept;
    // Typed before this script was there.
    else if (field.value !== field.defaultValue) keepText(field);
  }
}

document.addEventListener("input", ({ target }) => keepText(target));

// An answer may never come: only a page that shows the prompt says that it was taken.
document.addEventListener("submit", ({ target, submitter }) => {
  if (!target.dataset.keepsText || submitter?.name === "show_columns") return;
  onShelf((shelf) => shelf.setItem(SENT, JSON.stringify([keptText(target), target.elements.prompt.value])));
});

function forgetWhatWasTaken() {
  const [key, text] = JSON.parse(onShelf((shelf) => shelf.getItem(SENT)) ?? "[]");
  const newest = [...document.querySelectorAll("#turns .exchange__prompt")].at(-1);
  if (!key || newest?.textContent !== text) return;
  onShelf((shelf) => {
    shelf.removeItem(SENT);
    if (shelf.getItem(key) === text) shelf.removeItem(key);
  });
}

forgetWhatWasTaken();
restoreTexts();

// --- Columns side by side: a value that is not the same in all of them is marked

const compared = Object.groupBy(document.querySelectorAll("[data-compared]"), (field) => field.dataset.compared);

function markDifferences() {
  for (const fields of Object.values(compared)) {
    const values = fields.map((field) => field.value.trim() || field.placeholder);
    const differ = new Set(values.map((value) => (value !== "" && !Number.isNaN(Number(value)) ? Number(value) : value))).size > 1;
    for (const field of fields) field.closest(".field").querySelector("[data-differs]").hidden = !differ;
  }
  for (const fold of document.querySelectorAll("[data-more-parameters]")) {
    const count = fold.querySelectorAll("[data-differs]:not([hidden])").length;
    const badge = fold.querySelector("[data-differing]");
    badge.hidden = count === 0;
    badge.textContent = badge.dataset.words.replace("{count}", count);
  }
}

if (compared.temperature) {
  document.addEventListener("input", ({ target }) => target.dataset.compared && markDifferences());
  markDifferences();
}

// --- A battle: both sides' text goes into text nodes alone, so nothing a model writes can become markup

const announcer = document.getElementById("arena-announcer");
const LOST_AFTER_MS = 1500;
const FIRST_RETRY_MS = 1000;
const LAST_RETRY_MS = 15000;

function say(sentence) {
  announcer.textContent = sentence;
}

function followBattle(battle) {
  const texts = {};
  for (const place of battle.querySelectorAll("[data-side]")) texts[place.dataset.side] = place.appendChild(new Text());
  const status = battle.querySelector("[data-battle-status]");
  // What the status says while the connection stands.
  let said = status.textContent;
  let lost = 0;
  let retryMs = FIRST_RETRY_MS;

  function show(sentence) {
    said = sentence;
    status.textContent = sentence;
  }

  function open() {
    // A new EventSource hears everything from the beginning.
    for (const text of Object.values(texts)) text.data = "";
    const source = new EventSource(battle.dataset.battle);
    const on = (type, react) => source.addEventListener(type, (event) => react(JSON.parse(event.data)));
    on("reading", () => show(announcer.dataset.reading));
    on("text", ({ side, text }) => {
      texts[side].appendData(text);
      if (said !== announcer.dataset.writing) show(announcer.dataset.writing);
    });
    on("reset", ({ side }) => {
      texts[side].data = "";
      say(announcer.dataset.again);
    });
    on("end", ({ side }) => battle.querySelector(`[data-side="${side}"]`)?.removeAttribute("aria-busy"));
    on("done", () => {
      source.close();
      showWhole(battle, FIRST_RETRY_MS);
    });
    source.addEventListener("open", () => {
      clearTimeout(lost);
      lost = 0;
      retryMs = FIRST_RETRY_MS;
      status.textContent = said;
    });
    source.addEventListener("error", () => {
      lost ||= setTimeout(() => { status.textContent = announcer.dataset.lost; }, LOST_AFTER_MS);
      if (source.readyState !== EventSource.CLOSED) return;
      // The server refused, and the browser has given up.
      setTimeout(open, retryMs);
      retryMs = Math.min(2 * retryMs, LAST_RETRY_MS);
    });
  }

  open();
}

async function showWhole(battle, retryMs) {
  await htmx.ajax("GET", battle.dataset.page, { source: battle, target: battle, swap: "outerHTML" }).catch(() => {});
  if (battle.isConnected) {
    setTimeout(() => showWhole(battle, Math.min(2 * retryMs, LAST_RETRY_MS)), retryMs);
    return;
  }
  const next = document.getElementById("battle");
  if (next?.dataset.battle) {
    // The row's last state came a moment after the stream's.
    setTimeout(() => showWhole(next, retryMs), retryMs);
    return;
  }
  say(announcer.dataset.ready);
  if (document.activeElement === document.body) document.getElementById("battle-title")?.focus({ preventScroll: true });
}

const battle = document.querySelector("[data-battle]");
if (battle) followBattle(battle);

// --- Side by side: when the last answer has ended, the vote and the differences belong to the page

if (document.querySelector("[data-stop-all]")) {
  const turns = document.getElementById("turns");
  const look = new MutationObserver(() => {
    if (turns.querySelector("[data-stream]")) return;
    look.disconnect();
    const scroll = window.scrollY;
    htmx.ajax("GET", location.pathname, { source: turns, target: "main", select: "main", swap: "outerHTML" })
      .then(() => window.scrollTo({ top: scroll, behavior: "instant" }))
      .catch(() => {});
  });
  // The next prompt may be under way: the new page has its text, and the place in it.
  document.addEventListener("htmx:beforeSwap", ({ detail }) => {
    if (detail.target.id !== "main") return;
    const { name, selectionStart, selectionEnd } = document.activeElement;
    const typing = name === "prompt" ? [selectionStart, selectionEnd] : null;
    // Without a swap, as behind an error, the one that is waited for would be another's.
    if (!detail.shouldSwap) return;
    document.addEventListener("htmx:afterSwap", () => {
      restoreTexts();
      if (!typing) return;
      const field = document.querySelector("form[data-keeps-text]").elements.prompt;
      field.focus({ preventScroll: true });
      field.setSelectionRange(...typing);
    }, { once: true });
  });
  look.observe(turns, { subtree: true, childList: true });
}
