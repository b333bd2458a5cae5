// The composer: drafts that survive a reload, examples, settings of another variant, focus where one types on.

const DRAFT = "prompt-draft:";

const composer = () => document.getElementById("composer");
const prompt = () => composer()?.querySelector("textarea[name=prompt]");

// --- Drafts: kept for each conversation until the server has taken the prompt

function draftKey(form) {
  // A page that came with a prompt in its address keeps its own draft, and leaves the other alone.
  return DRAFT + form.dataset.draft + (form.elements.prompt.defaultValue ? "-offered" : "");
}

// This tab's own, which another tab with the same conversation leaves alone; and one that outlives the tab.
const shelves = ["sessionStorage", "localStorage"];

function onShelf(name, act) {
  try {
    return act(window[name]);
  } catch {
    // Storage is full or forbidden: the page works without drafts.
    return null;
  }
}

function storeDraft(key, text) {
  for (const shelf of shelves) onShelf(shelf, (kept) => (text ? kept.setItem(key, text) : kept.removeItem(key)));
}

// What was typed meanwhile, here or in another tab, is still a draft.
function forgetDraft(key, sent) {
  for (const shelf of shelves) onShelf(shelf, (kept) => kept.getItem(key) === sent && kept.removeItem(key));
}

function storedDraft(key) {
  return onShelf("sessionStorage", (kept) => kept.getItem(key)) ?? onShelf("localStorage", (kept) => kept.getItem(key));
}

function restoreDraft(form) {
  const field = form.elements.prompt;
  const draft = storedDraft(draftKey(form));
  if (draft && field.value === field.defaultValue) field.value = draft;
  grow(field);
}

document.addEventListener("input", ({ target }) => {
  if (target.form?.id !== "composer" || target.name !== "prompt") return;
  storeDraft(draftKey(target.form), target.value);
  grow(target);
});

document.addEventListener("htmx:afterRequest", ({ detail }) => {
  const { elt, parameters, path } = detail.requestConfig;
  // "Answer again" goes through the composer for its settings, and leaves what is typed.
  if (elt.id !== "composer" || !detail.successful || /\/(again|settings)\/$/.test(path)) return;
  forgetDraft(draftKey(elt), parameters.prompt);
});

// --- The text area grows with its text; browsers with field-sizing do that themselves

function grow(field) {
  if (CSS.supports("field-sizing", "content")) return;
  field.style.blockSize = "auto";
  field.style.blockSize = `${field.scrollHeight + 2}px`;
}

// --- Examples fill the prompt, and undo (Ctrl+Z) gives back what stood there

document.addEventListener("click", (event) => {
  const example = event.target.closest("[data-fill]");
  const field = prompt();
  if (!example || !field || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  field.focus();
  field.select();
  // The only way to write into a field that its undo knows of.
  if (!document.execCommand("insertText", false, example.dataset.fill)) {
    field.value = example.dataset.fill;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }
});

// --- Another variant: parameters that stood at the old one's defaults move to the new one's

let chosen;

function defaultsOf(select) {
  return JSON.parse(select.selectedOptions[0]?.dataset.defaults ?? "{}");
}

document.addEventListener("change", ({ target }) => {
  if (target.form?.id !== "composer" || target.name !== "variant") return;
  const before = chosen ?? {};
  chosen = defaultsOf(target);
  for (const [name, value] of Object.entries(chosen)) {
    const field = target.form.elements[name];
    if (!field) continue;
    const parameter = field.closest("[data-parameter]");
    if (parameter) {
      parameter.dataset.default = value ?? "";
      parameter.querySelector("[data-default-text]").textContent = value || "–";
    }
    if (field.value === String(before[name] ?? "")) field.value = value ?? "";
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }
});

// --- Parameters that differ from the card's defaults are marked, and go back to them

function markChanged(parameter) {
  const field = parameter?.querySelector("input, textarea");
  if (!field) return;
  const typed = field.value.trim();
  const { default: standard } = parameter.dataset;
  const isSame = typed === "" || typed === standard || (standard !== "" && Number(typed) === Number(standard));
  parameter.classList.toggle("parameter--changed", !isSame);
}

document.addEventListener("input", ({ target }) => markChanged(target.closest("[data-parameter]")));

document.addEventListener("click", ({ target }) => {
  const reset = target.closest("[data-reset]");
  if (!reset) return;
  const parameter = reset.closest("[data-parameter]");
  const field = parameter.querySelector("input, textarea");
  field.value = parameter.dataset.default;
  field.dispatchEvent(new Event("input", { bubbles: true }));
  field.dispatchEvent(new Event("change", { bubbles: true }));
  field.focus();
});

// --- Settings: a sheet on narrow pages

function isSheet(settings) {
  return !settings.checkVisibility();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("[data-shows-setting]");
  if (!link) return;
  const field = document.querySelector(link.getAttribute("href"));
  const settings = document.getElementById("settings");
  if (isSheet(settings)) settings.showPopover();
  field.closest("details")?.setAttribute("open", "");
  event.preventDefault();
  field.focus();
});

// Esc closes what lies on top before it stops a run.
window.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && document.querySelector(":popover-open, dialog[open]")) event.stopPropagation();
}, { capture: true });

// --- Sending

// 429 comes as the composer with its sentence.
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  if (detail.xhr.status !== 429 || detail.requestConfig.elt.id !== "composer") return;
  detail.shouldSwap = true;
  detail.isError = false;
});

let sentFrom = null;
let openFolds = [];

document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  if (detail.requestConfig.elt.id !== "composer") return;
  sentFrom = document.activeElement;
  openFolds = [...document.querySelectorAll("details[id][open]")].map((each) => each.id);
});

function showWhetherRunning() {
  const form = composer();
  if (!form) return;
  const running = document.querySelector("[data-stream]") !== null;
  form.toggleAttribute("data-waits", running);
  document.getElementById("send").disabled = running;
}

// New settings take the place of the old ones, where the person was in them.
document.addEventListener("htmx:afterSettle", ({ detail }) => {
  const { path, parameters } = detail.requestConfig ?? {};
  if (!path?.endsWith("/settings/")) return;
  const settings = document.getElementById("settings");
  for (const id of openFolds) document.getElementById(id)?.setAttribute("open", "");
  if (isSheet(settings)) settings.showPopover();
  const hasMovedOn = document.activeElement !== null && document.activeElement !== document.body;
  if (!hasMovedOn) settings.querySelector(`button[name="do"][value="${CSS.escape(parameters.do)}"]`)?.focus();
  chosen = defaultsOf(composer().elements.variant);
  htmx.trigger("#context", "refresh");
});

document.addEventListener("htmx:afterSettle", ({ detail }) => {
  showWhetherRunning();
  // An answer that has ended is read before the next prompt.
  if (detail.requestConfig?.elt.classList.contains("answer")) htmx.trigger("#context", "refresh");
  if (detail.requestConfig?.elt.id !== "composer" || detail.requestConfig.path.endsWith("/settings/")) return;
  for (const id of openFolds) document.getElementById(id)?.setAttribute("open", "");
  const form = composer();
  const field = prompt();
  if (!form || !field) return;
  grow(field);
  const refused = detail.xhr.status >= 400;
  const lostFocus = sentFrom && !sentFrom.isConnected && (document.activeElement === document.body || document.activeElement?.disabled);
  if (lostFocus || (refused && field.getAttribute("aria-invalid") === "true")) field.focus({ preventScroll: !refused });
  if (!refused) form.scrollIntoView({ block: "nearest" });
  sentFrom = null;
});

document.addEventListener("htmx:load", () => {
  const form = composer();
  if (!form) return;
  chosen ??= defaultsOf(form.elements.variant);
});

// --- Code in an answer can be copied

function offerCopies() {
  const words = document.getElementById("announcer")?.dataset;
  if (!words) return;
  for (const pre of document.querySelectorAll(".prose--answer pre")) {
    if (pre.parentElement.matches(".code")) continue;
    const box = document.createElement("div");
    box.className = "code";
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "button button--small button--quiet", textContent: words.copyWords });
    Object.assign(button.dataset, { copy: "", copied: words.copied });
    pre.before(box);
    box.append(pre, button);
  }
}

document.addEventListener("htmx:afterSettle", offerCopies);
offerCopies();

// --- A conversation that is opened shows its newest turn

const last = [...document.querySelectorAll("[data-exchange]")].at(-1);
const arrived = performance.getEntriesByType("navigation")[0]?.type === "navigate";
if (last?.previousElementSibling && arrived && !location.hash) last.scrollIntoView({ block: "start" });

if (composer()) {
  restoreDraft(composer());
  chosen = defaultsOf(composer().elements.variant);
}
showWhetherRunning();
