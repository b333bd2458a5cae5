// The judgement panel: a refusal is shown inside the panel, a comment being written survives a reload, and near its
// longest length it says how much is left.

const DRAFT = "feedback-draft:";
const SAY_FROM = 0.9;

function textareas(scope) {
  return scope.querySelectorAll?.("[data-feedback] textarea") ?? [];
}

function restoreDrafts(scope) {
  for (const textarea of textareas(scope)) {
    const draft = sessionStorage.getItem(DRAFT + textarea.id);
    if (draft !== null) textarea.value = draft;
    sayWhatIsLeft(textarea);
  }
}

// Counted as the server counts: code points, without the white space around the text.
function sayWhatIsLeft(textarea) {
  const left = document.getElementById(`${textarea.id}_left`);
  const most = Number(textarea.dataset.maxCharacters);
  const length = [...textarea.value.trim()].length;
  left.hidden = length < most * SAY_FROM;
  left.classList.toggle("bad", length > most);
  left.lastElementChild.textContent = (most - length).toLocaleString(document.documentElement.lang);
}

document.addEventListener("input", ({ target }) => {
  if (!target.matches("[data-feedback] textarea")) return;
  sessionStorage.setItem(DRAFT + target.id, target.value);
  sayWhatIsLeft(target);
});

// Without this htmx would drop a conflict, a limit or a block, which come as the whole panel, problem included.
document.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr, requestConfig } = event.detail;
  const isPanel = xhr.getResponseHeader("HX-Retarget") === "closest [data-feedback]";
  if (!requestConfig.elt.closest("[data-feedback]") || !isPanel) return;
  event.detail.shouldSwap = true;
  event.detail.isError = false;
});

// What reached the server is no draft any more; what was typed while it was on its way still is.
document.addEventListener("htmx:afterRequest", ({ detail }) => {
  const panel = detail.requestConfig.elt.closest("[data-feedback]");
  if (!panel || !detail.successful || detail.requestConfig.verb !== "post") return;
  for (const textarea of panel.querySelectorAll("textarea")) {
    if (textarea.value === (detail.requestConfig.parameters[textarea.name] ?? textarea.value)) {
      sessionStorage.removeItem(DRAFT + textarea.id);
    }
  }
});

document.addEventListener("htmx:load", ({ detail }) => restoreDrafts(detail.elt.parentElement ?? detail.elt));
restoreDrafts(document);
