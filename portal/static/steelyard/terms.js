// The line that says how far something may go and under which licence follows what is chosen beneath it.

document.addEventListener("change", ({ target }) => {
  const terms = target.closest(".terms");
  if (!terms) return;
  const consent = terms.querySelector("[name=consent]:checked");
  if (consent) terms.querySelector("[data-consent]").textContent = consent.closest("label").textContent.trim();
  terms.querySelector("[data-licence]").textContent = terms.querySelector("[name=licence]").value;
});
