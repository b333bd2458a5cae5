// Several tabs with one conversation agree: each tells the others when something was sent or opened in it, and asks what
// is new when it hears so, when it comes to the front, and now and then. The server answers with the turns that go on
// from this tab's branch (streams and all), and with a sentence on anything else; what is typed here stays.

const tabs = "BroadcastChannel" in window ? new BroadcastChannel("steelyard-conversations") : null;
const LOOK_EVERY_MS = 15000;
const LOOK_AGAIN_MS = 500;
let looking = false;

const tabState = () => document.getElementById("tab-state");

function tell() {
  const state = tabState();
  if (state) tabs?.postMessage(state.dataset.changes);
}

// What this tab itself has on its way would come twice.
function isSending() {
  return document.querySelector("#composer.htmx-request, [data-exchange] form.htmx-request") !== null;
}

async function look() {
  const state = tabState();
  if (!state || document.visibilityState !== "visible") return;
  if (looking || isSending()) {
    setTimeout(look, LOOK_AGAIN_MS);
    return;
  }
  looking = true;
  try {
    const { changes, seen, leaf, title } = state.dataset;
    const notice = document.querySelector("#changes [data-notice]")?.dataset.notice ?? "";
    const query = new URLSearchParams({ seen, leaf, title, notice });
    const response = await fetch(`${changes}?${query}`, { headers: { "HX-Request": "true" } });
    if (response.status !== 200) return;
    const html = await response.text();
    // Meanwhile this tab may have gone on itself, and knows better.
    if (tabState() === state && !isSending()) take(html);
    else setTimeout(look, LOOK_AGAIN_MS);
  } catch {
    // The network is away; the next look tells.
  } finally {
    looking = false;
  }
}

function take(html) {
  const end = document.getElementById("composer") ?? document.getElementById("turns");
  const wasInView = end.getBoundingClientRect().bottom < window.innerHeight;
  const { leaf } = tabState().dataset;
  htmx.swap("#changes", html, { swapStyle: "innerHTML", swapDelay: 0, settleDelay: 20 });
  if (tabState().dataset.leaf !== leaf) htmx.trigger("#context", "refresh");
  if (wasInView) end.scrollIntoView({ block: "nearest" });
}

tabs?.addEventListener("message", ({ data }) => {
  if (tabState()?.dataset.changes === data) look();
});
document.addEventListener("visibilitychange", look);
setInterval(look, LOOK_EVERY_MS);
document.addEventListener("htmx:afterSettle", ({ detail }) => {
  const { elt, verb } = detail.requestConfig ?? {};
  if (verb === "post" && detail.xhr.status < 400 && elt.matches("form")) tell();
});
tell();
