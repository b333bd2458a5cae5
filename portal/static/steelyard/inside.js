// Inside a run: the tokens are one stop of the Tab key, arrows move among them, and the one in focus tells its numbers.

const group = document.querySelector("[data-tokens]");
const readout = document.getElementById("readout");

function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

function tell(token) {
  const { p, bits, h } = token.dataset;
  const words = fill(readout.dataset.words, { text: JSON.stringify(token.textContent), p, bits });
  readout.textContent = words + (h ? fill(readout.dataset.entropy, { entropy: h }) : "");
}

function hold(token) {
  group.querySelector('[tabindex="0"]')?.setAttribute("tabindex", "-1");
  token.tabIndex = 0;
}

if (group) {
  const tokens = [...group.children];
  for (const token of tokens) token.tabIndex = -1;
  hold(group.querySelector("[aria-current]") ?? tokens[0]);
  readout.textContent = readout.dataset.hint;

  group.addEventListener("focusin", ({ target }) => {
    hold(target);
    tell(target);
  });
  group.addEventListener("pointerover", ({ target }) => target.matches("a") && tell(target));

  const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 10, ArrowUp: -10, Home: -Infinity, End: Infinity };
  group.addEventListener("keydown", (event) => {
    const step = steps[event.key];
    if (step === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    const at = tokens.indexOf(document.activeElement);
    tokens[Math.min(tokens.length - 1, Math.max(0, at + step))].focus();
  });

  // On a narrow page what opens covers half of the text; the token that it is about stays in view.
  document.addEventListener("htmx:afterSettle", () => group.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" }));

  // What was open is closed: the keyboard goes on at its token.
  document.addEventListener("click", ({ target }) => {
    if (!target.closest("[data-close]")) return;
    const open = group.querySelector("[aria-current]");
    open?.removeAttribute("aria-current");
    open?.focus({ preventScroll: true });
  });

  group.addEventListener("click", ({ target }) => {
    const token = target.closest("a");
    if (!token) return;
    group.querySelector("[aria-current]")?.removeAttribute("aria-current");
    token.setAttribute("aria-current", "true");
  });
}
