// What every page shares: messages that can be put away, focus on errors, copy buttons, and words for a failed request.

const notices = document.getElementById("notices");
const busy = document.getElementById("busy");

function focusErrors(scope) {
  scope.querySelector?.("[data-error-summary]")?.focus();
}

function show(notice) {
  // The same sentence twice says no more than once.
  for (const other of notices.children) if (other.textContent === notice.textContent) other.remove();
  notices.append(notice);
  notice.scrollIntoView({ block: "nearest" });
}

function notice(name, detail) {
  const element = document.getElementById(`notice-${name}`).content.firstElementChild.cloneNode(true);
  const place = element.querySelector("[data-error-detail]");
  if (place && detail) place.textContent = detail;
  return element;
}

function csrfToken() {
  // The cookie is newer than the page when somebody signed in in another tab.
  const cookie = document.cookie.match(/(?:^|; )csrftoken=([^;]+)/);
  return cookie?.[1] ?? document.querySelector('meta[name="csrf-token"]')?.content;
}

document.addEventListener("click", async (event) => {
  const dismiss = event.target.closest("[data-dismiss]");
  if (dismiss) {
    dismiss.closest("[data-dismissible]").remove();
    return;
  }
  const copy = event.target.closest("[data-copy]");
  if (copy) {
    const source = copy.dataset.copy ? document.querySelector(copy.dataset.copy) : copy.closest(".code").querySelector("pre");
    await navigator.clipboard.writeText(source.value ?? source.textContent);
    const before = copy.textContent;
    copy.textContent = copy.dataset.copied ?? "✓";
    setTimeout(() => { copy.textContent = before; }, 1600);
  }
});

// A range and a number that are one value: the number is the field, the range follows it and leads it.
document.addEventListener("input", ({ target }) => {
  if (target.dataset.mirrors) {
    const field = document.getElementById(target.dataset.mirrors);
    field.value = target.value;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  } else if (target.id && target.type === "number") {
    const range = document.querySelector(`input[type="range"][data-mirrors="${CSS.escape(target.id)}"]`);
    if (range && range.value !== target.value && target.value !== "") range.value = target.value;
  }
});

document.addEventListener("htmx:configRequest", (event) => {
  if (event.detail.verb !== "get") event.detail.headers["X-CSRFToken"] ??= csrfToken();
});

let waiting = 0;
function countBusy(change) {
  waiting = Math.max(0, waiting + change);
  busy?.classList.toggle("is-busy", waiting > 0);
}
document.addEventListener("htmx:beforeSend", (event) => {
  countBusy(+1);
  // Not htmx:afterRequest, which does not come here when the element that asked was replaced meanwhile.
  event.detail.xhr.addEventListener("loadend", () => countBusy(-1), { once: true });
});

document.addEventListener("htmx:responseError", (event) => {
  const { xhr } = event.detail;
  const page = new DOMParser().parseFromString(xhr.responseText, "text/html");
  const said = page.querySelector("[data-error-notice]");
  const id = xhr.getResponseHeader("X-Request-ID");
  show(said ? document.importNode(said, true) : notice("refused", `${xhr.status}${id ? ` · ${id}` : ""}`));
});
document.addEventListener("htmx:sendError", () => show(notice("network")));
document.addEventListener("htmx:timeout", () => show(notice("timeout")));
document.addEventListener("htmx:afterSwap", (event) => focusErrors(event.detail.elt));

focusErrors(document);
