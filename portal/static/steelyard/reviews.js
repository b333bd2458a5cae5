// Reviewing by keyboard: rows of the queue by j, k, x, o; verdicts that need something more; the time really spent.

const IDLE_AFTER_MS = 60_000;
const TICK_MS = 1_000;

function isTyping(target) {
  return target.matches("textarea, select, input:not([type=checkbox], [type=radio])");
}

const rows = [...document.querySelectorAll("[data-row]")];
let at = -1;

function go(step) {
  at = Math.min(rows.length - 1, Math.max(0, at + step));
  rows[at].querySelector("[data-row-link]").focus();
}

if (rows.length) {
  const all = document.querySelector("[data-all-rows]");
  const boxes = rows.map((row) => row.querySelector("input[type=checkbox]"));
  const follow = () => {
    const chosen = boxes.filter((box) => box.checked).length;
    all.checked = chosen === boxes.length;
    all.indeterminate = chosen > 0 && chosen < boxes.length;
  };
  all.hidden = false;
  all.addEventListener("change", () => { for (const box of boxes) box.checked = all.checked; });
  for (const box of boxes) box.addEventListener("change", follow);
  addEventListener("pageshow", follow);
  document.addEventListener("focusin", (event) => {
    const row = event.target.closest("[data-row]");
    if (row) at = rows.indexOf(row);
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || document.querySelector("dialog[open]")) return;
    const key = event.key;
    if (key === "j") go(+1);
    else if (key === "k") go(-1);
    else if (key === "x" && at >= 0) rows[at].querySelector("input[type=checkbox]").click();
    else if (key === "o" && at >= 0) rows[at].querySelector("[data-row-link]").click();
    else return;
    event.preventDefault();
  });
}

const takeFirst = document.querySelector("[data-take-first]");

if (takeFirst) {
  // The keys of verdicts do nothing for who does not hold the item, and say so.
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || document.querySelector("dialog[open]")) return;
    if (/^[1-6]$/.test(event.key)) takeFirst.textContent = takeFirst.dataset.takeFirst;
  });
}

const form = document.querySelector("[data-verdict]");

if (form) {
  const seconds = form.elements.active_s;
  let active = 0;
  let lastSign = performance.now();
  let renewed = performance.now();
  const renewEvery = Math.max(20_000, Number(form.dataset.left) * 400);
  for (const sign of ["keydown", "pointermove", "pointerdown", "scroll", "wheel"]) {
    document.addEventListener(sign, () => { lastSign = performance.now(); }, { passive: true, capture: true });
  }
  // Counted while the page is in front and somebody is at it; a minute without a sign of them is the end of that.
  setInterval(() => {
    const now = performance.now();
    if (document.visibilityState !== "visible" || now - lastSign > IDLE_AFTER_MS) return;
    active += TICK_MS;
    seconds.value = Math.round(active / 1_000);
    if (now - renewed > renewEvery) {
      renewed = now;
      fetch(form.dataset.renew, { method: "POST", headers: { "X-CSRFToken": form.elements.csrfmiddlewaretoken.value } }).catch(() => {});
    }
  }, TICK_MS);
  seconds.value = 0;

  const hint = form.querySelector("[data-hint]");
  // What was refused is no more sent again as it was than what is missing.
  const lacks = (field) => !field.value.trim() || field.getAttribute("aria-invalid") === "true";
  const waitsFor = (button) => {
    const field = form.elements[button.dataset.needs];
    if (!field || !lacks(field)) return false;
    field.focus();
    field.select?.();
    hint.textContent = button.dataset.needsWords;
    return true;
  };
  form.addEventListener("input", (event) => {
    event.target.removeAttribute("aria-invalid");
    hint.textContent = "";
  });
  let isSent = false;
  form.addEventListener("click", (event) => {
    const button = event.target.closest("button[name=verdict]");
    if (button && waitsFor(button)) event.preventDefault();
  });
  form.addEventListener("keydown", (event) => {
    const field = event.target;
    if (event.key === "Escape" && isTyping(field)) field.blur();
    if (event.key !== "Enter" || (field.id === "note" && !event.ctrlKey && !event.metaKey) || !isTyping(field)) return;
    const button = [...form.querySelectorAll("button[data-needs]")].find((each) => each.dataset.needs === field.name);
    if (!button) return;
    event.preventDefault();
    if (!waitsFor(button)) form.requestSubmit(button);
  });
  form.addEventListener("submit", (event) => {
    if (isSent) event.preventDefault();
    isSent = true;
  });
  addEventListener("pageshow", () => { isSent = false; });
  form.querySelector("[data-errors]")?.focus();
}
