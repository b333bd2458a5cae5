// An answer while it is written. Events come from `playground:events` (server-sent events that resume by themselves
// behind Last-Event-ID); text goes into text nodes alone, so nothing a model writes can become markup. When the run has
// ended, the server's own rendering of it takes the place of what was streamed.

const announcer = document.getElementById("announcer");
const words = announcer?.dataset ?? {};

const AT_END_PX = 64;
const SPEED_WINDOW_MS = 5000;
const LOST_AFTER_MS = 1500;
const SILENT_AFTER_MS = 4000;
const WATCH_EVERY_MS = 1000;
// A sentence that a first token would replace at once stays long enough to be read.
const READABLE_MS = 2000;
const FIRST_RETRY_MS = 1000;
const LAST_RETRY_MS = 15000;
const SPOKEN_PARAGRAPHS = 12;
const SENTENCE_END = /[.!?…。！？:](?=\s)|\n/g;

function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

// The end of the conversation is the composer: who sees it is following, and goes on seeing it while text grows above.
// A re-run's own page has no such end.
function end() {
  return document.getElementById("composer") ?? document.getElementById("turns");
}

function isFollowing() {
  const at = end()?.getBoundingClientRect().bottom ?? Infinity;
  return at < window.innerHeight + AT_END_PX;
}

function showEnd() {
  end()?.scrollIntoView({ block: "nearest" });
}

// --- Screen readers hear sentences

function say(text) {
  const sentence = text.trim();
  if (!sentence) return;
  const paragraph = document.createElement("p");
  paragraph.textContent = sentence;
  announcer.append(paragraph);
  while (announcer.children.length > SPOKEN_PARAGRAPHS) announcer.firstElementChild.remove();
}

class Speaker {
  #pending = "";

  hear(text) {
    // Several answers at once would be read into each other: there, only their ends are said.
    if (document.querySelectorAll("[data-stream]").length > 1) return;
    this.#pending += text;
    let end = 0;
    for (const match of this.#pending.matchAll(SENTENCE_END)) end = match.index + match[0].length;
    if (end === 0) return;
    say(this.#pending.slice(0, end));
    this.#pending = this.#pending.slice(end);
  }

  finish() {
    say(this.#pending);
    this.#pending = "";
  }

  forget() {
    this.#pending = "";
  }
}

// --- Tokens so far, and how many a second over the last few seconds

class Tally {
  count = 0;
  #seen = [];

  clear() {
    this.count = 0;
    this.#seen = [];
  }

  add(tokens, now) {
    this.count += tokens;
    this.#seen.push([now, this.count]);
    while (this.#seen.length > 2 && now - this.#seen[0][0] > SPEED_WINDOW_MS) this.#seen.shift();
  }

  perSecond() {
    if (this.#seen.length < 2) return null;
    const [firstAt, firstCount] = this.#seen[0];
    const [lastAt, lastCount] = this.#seen.at(-1);
    return lastAt - firstAt < 500 ? null : (1000 * (lastCount - firstCount)) / (lastAt - firstAt);
  }
}

// --- One answer

class Answer {
  #element;
  #source = null;
  #arrived = { answer: "", thinking: "" };
  #newTokens = 0;
  #frame = 0;
  #tally = new Tally();
  #speaker = new Speaker();
  #lostTimer = 0;
  #retryMs = FIRST_RETRY_MS;
  #status;
  // What the status says while the connection stands.
  #said = "";
  #texts;
  #stopping = false;
  #restarting = false;
  #restartedAt = -READABLE_MS;
  #heardAt = 0;
  #silenceWasSaid = false;
  #watch = 0;

  constructor(element) {
    this.#element = element;
    this.#status = element.querySelector("[data-status]");
    const thinking = element.querySelector("[data-thinking]");
    this.#texts = {
      answer: element.querySelector("[data-text]").appendChild(new Text()),
      thinking: thinking.querySelector("div").appendChild(new Text()),
    };
    element.querySelector("[data-stop]").addEventListener("htmx:beforeRequest", () => this.#stop());
    element.querySelector("[data-stop]").addEventListener("htmx:afterRequest", ({ detail }) => {
      if (!detail.successful) this.#stopping = false;
    });
    // What Stop brought may stand here before what the end asked for: that finds nothing to take the place of.
    element.addEventListener("htmx:beforeSwap", (event) => {
      if (!element.isConnected) event.preventDefault();
    });
    this.#open();
  }

  #open() {
    // A new EventSource hears everything from the beginning.
    this.#clear();
    const source = new EventSource(this.#element.dataset.stream);
    this.#source = source;
    const on = (type, react) => source.addEventListener(type, (event) => {
      if (!this.#element.isConnected) return this.close();
      react(JSON.parse(event.data));
    });
    source.addEventListener("open", () => this.#found());
    source.addEventListener("error", () => this.#lost());
    on("queued", ({ position, eta_s: seconds, loading }) => {
      const parts = [fill(words.queued, { position })];
      if (loading !== undefined) parts.push(fill(words.loading, { percent: loading }));
      else if (seconds !== null) parts.push(fill(words.estimate, { seconds: Math.max(1, Math.round(seconds)) }));
      if (this.#restarting) parts.unshift(words.again);
      this.#show(parts.join(", "));
    });
    on("started", () => {
      // Behind a reset: another worker took the run over. That stays to be read until its first token.
      if (this.#restarting) say(words.again);
      else this.#show(words.reading);
    });
    on("delta", ({ text, channel, tokens }) => {
      this.#restarting = false;
      this.#heardAt = performance.now();
      this.#arrived[channel] += text;
      this.#newTokens += tokens.length;
      this.#draw();
    });
    on("reset", () => {
      this.#clear();
      this.#restarting = true;
      this.#restartedAt = performance.now();
      this.#show(words.again);
    });
    on("finished", ({ finish_reason: reason }) => this.#end(announcer.getAttribute(`data-end-${reason}`) ?? words.ended));
    on("failed", () => this.#end(words.failed));
  }

  close() {
    this.#source.close();
    clearTimeout(this.#lostTimer);
    clearInterval(this.#watch);
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
  }

  #clear() {
    this.#arrived = { answer: "", thinking: "" };
    this.#newTokens = 0;
    this.#tally.clear();
    this.#speaker.forget();
    this.#restarting = false;
    clearInterval(this.#watch);
    this.#watch = 0;
    for (const text of Object.values(this.#texts)) text.data = "";
    for (const figure of this.#element.querySelectorAll("[data-run-tokens], [data-run-speed]")) figure.hidden = true;
  }

  #show(status) {
    this.#said = status;
    if (!this.#stopping && !this.#status.hasAttribute("data-lost")) this.#status.textContent = status;
  }

  // A worker that died says nothing: its silence is told until another takes the run over, or the next token comes.
  #lookForSilence() {
    const silentMs = performance.now() - this.#heardAt;
    if (silentMs < SILENT_AFTER_MS || this.#lostTimer || this.#stopping) return;
    const sentence = fill(words.silent, { seconds: Math.floor(silentMs / 1000) });
    this.#show(sentence);
    this.#element.querySelector("[data-run-speed]").hidden = true;
    if (!this.#silenceWasSaid) say(sentence);
    this.#silenceWasSaid = true;
  }

  #draw() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#write();
    });
  }

  #write() {
    const { answer, thinking } = this.#arrived;
    if (!answer && !thinking && !this.#newTokens) return;
    const follow = isFollowing();
    this.#arrived = { answer: "", thinking: "" };
    if (thinking) {
      this.#element.querySelector("[data-thinking]").hidden = false;
      this.#texts.thinking.appendData(thinking);
    }
    this.#texts.answer.appendData(answer);
    this.#speaker.hear(answer);
    this.#tally.add(this.#newTokens, performance.now());
    this.#newTokens = 0;
    if (performance.now() - this.#restartedAt >= READABLE_MS) this.#show(words.writing);
    this.#watch ||= setInterval(() => this.#lookForSilence(), WATCH_EVERY_MS);
    this.#number("[data-run-tokens]", words.tokens, { count: this.#tally.count.toLocaleString() }, this.#tally.count > 0);
    const speed = this.#tally.perSecond();
    this.#number("[data-run-speed]", words.speed, { speed: speed?.toFixed(1) }, speed !== null);
    if (follow) showEnd();
  }

  #number(selector, text, values, isKnown) {
    const place = this.#element.querySelector(selector);
    place.hidden = !isKnown;
    if (isKnown) place.textContent = fill(text, values);
  }

  #stop() {
    this.#status.textContent = words.stopping;
    this.#stopping = true;
  }

  #found() {
    clearTimeout(this.#lostTimer);
    this.#lostTimer = 0;
    this.#retryMs = FIRST_RETRY_MS;
    this.#heardAt = performance.now();
    if (this.#status.hasAttribute("data-lost")) {
      this.#status.removeAttribute("data-lost");
      this.#show(this.#said);
    }
  }

  #lost() {
    if (!this.#element.isConnected) return this.close();
    // A short gap heals before anybody has to hear of it.
    this.#lostTimer ||= setTimeout(() => {
      this.#status.textContent = words.lost;
      this.#status.setAttribute("data-lost", "");
    }, LOST_AFTER_MS);
    if (this.#source.readyState !== EventSource.CLOSED) return;
    // The server refused, and the browser has given up.
    setTimeout(() => this.#element.isConnected && this.#open(), this.#retryMs);
    this.#retryMs = Math.min(2 * this.#retryMs, LAST_RETRY_MS);
  }

  #end(sentence) {
    this.#write();
    this.close();
    this.#speaker.finish();
    say(sentence);
    this.#status.removeAttribute("data-lost");
    this.#status.textContent = sentence;
    this.#element.querySelector("[data-text]").removeAttribute("aria-busy");
    this.#replace(FIRST_RETRY_MS);
  }

  async #replace(retryMs) {
    const element = this.#element;
    await htmx.ajax("GET", element.dataset.answer, { source: element, target: element, swap: "outerHTML" }).catch(() => {});
    if (element.isConnected) setTimeout(() => this.#replace(Math.min(2 * retryMs, LAST_RETRY_MS)), retryMs);
  }
}

// --- Answers come with the page, with a prompt that was sent, or with a retry

const followed = new WeakMap();

function followAnswers() {
  for (const element of document.querySelectorAll("[data-stream]")) {
    if (!followed.has(element)) followed.set(element, new Answer(element));
  }
}

// Who reads the end of the page goes on reading it when an answer is replaced, or gets its judgement's panel; who was in
// the answer stays in it, and who came to a place that the address names is not taken from it by a panel.
let follow = false;
let heldFocus = null;

document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  const answer = detail.target.closest?.(".answer");
  if (!answer) return;
  follow = isFollowing() && (detail.target === answer || !location.hash);
  heldFocus = answer.contains(document.activeElement) ? answer.id : null;
});

document.addEventListener("htmx:afterSettle", () => {
  followAnswers();
  if (follow) showEnd();
  if (heldFocus && document.activeElement === document.body) document.getElementById(heldFocus)?.focus({ preventScroll: true });
  follow = false;
  heldFocus = null;
});

followAnswers();
