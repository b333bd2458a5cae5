// The judgement panel: a refusal is shown inside the panel, and a comment being written survives a reload.

const DRAFT = "feedback-draft:";

function textareas(scope) {
  return scope.querySelectorAll?.("[data-feedback] textarea") ?? [];
}

function restoreDrafts(scope) {
  for (const textarea of textareas(scope)) {
    const draft = sessionStorage.getItem(DRAFT + textarea.id);
    if (draft !== null) textarea.value = draft;
  }
}

document.addEventListener("input", ({ target }) => {
  if (target.matches("[data-feedback] textarea")) sessionStorage.setItem(DRAFT + target.id, target.value);
});

// Without this htmx would drop a conflict (409) or a limit (429); both come as the whole panel, problem included.
document.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr, requestConfig } = event.detail;
  if (!requestConfig.elt.closest("[data-feedback]") || ![409, 429].includes(xhr.status)) return;
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
