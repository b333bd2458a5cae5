// The switch between the system's colours, light and dark. The choice is kept in a cookie, which the server reads so
// that the next page's first byte has the right colours, and in localStorage, which tells this browser's other tabs.

const KEY = "theme";
const root = document.documentElement;

function apply(theme) {
  const pinned = theme === "light" || theme === "dark";
  if (pinned) root.dataset.theme = theme;
  else delete root.dataset.theme;
  const meta = document.querySelector('meta[name="color-scheme"]');
  if (meta) meta.content = pinned ? theme : "light dark";
  for (const input of document.querySelectorAll('.theme-switch input[name="theme"]')) {
    input.checked = input.value === (pinned ? theme : "system");
  }
}

function remember(theme) {
  const pinned = theme === "light" || theme === "dark";
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = pinned
    ? `${KEY}=${theme}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`
    : `${KEY}=; Path=/; Max-Age=0; SameSite=Lax${secure}`;
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // Storage may be switched off; the cookie alone is enough for this tab.
  }
}

document.addEventListener("change", (event) => {
  if (!event.target.matches('.theme-switch input[name="theme"]')) return;
  remember(event.target.value);
  apply(event.target.value);
});

window.addEventListener("storage", (event) => {
  if (event.key === KEY && event.newValue) apply(event.newValue);
});

// A page out of the back-forward cache was drawn before the choice.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) apply(document.cookie.match(/(?:^|; )theme=(light|dark)/)?.[1] ?? "system");
});
