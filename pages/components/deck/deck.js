// The deck on screen. Every word of an example was written by a stranger: it enters by textContent only.

const SCALES = [
  ["technical_accuracy", "Technical accuracy"],
  ["professional_quality", "Professional quality"],
  ["completeness", "Completeness"],
  ["clarity", "Clarity"],
];
const FIVE = [1, 2, 3, 4, 5];
const WORK = { verify: "Confirm a colleague’s text", revise: "Write the revision" };
const KEYS = {
  review: [
    ["A", "Approve"],
    ["N", "Needs revision"],
    ["X", "Reject"],
    ["S", "Skip for now"],
    ["F", "Flag for someone else"],
    ["U", "Undo the last decision"],
    ["1 – 5", "Set all four scores"],
    ["0", "Clear the scores"],
    ["← →", "Change one score, when it has the focus"],
    ["D", "Difference, or side by side"],
    ["E", "Edit the answer"],
    ["M", "Write notes"],
    ["Esc", "Leave a text"],
    ["Ctrl Enter", "Approve while writing"],
  ],
  compare: [
    ["A", "Choose answer A; again to confirm"],
    ["B", "Choose answer B; again to confirm"],
    ["1 – 5", "How much better"],
    ["Enter", "Confirm the choice"],
    ["T", "Both are equally good"],
    ["S", "Skip for now"],
    ["F", "Flag for someone else"],
    ["U", "Undo the last decision"],
    ["M", "Write notes"],
    ["Esc", "Leave a text, or the choice"],
    ["Ctrl Enter", "Confirm while writing"],
  ],
};
const FIRST_RETRY_MS = 5_000;
const LAST_RETRY_MS = 60_000;
const PART_LENGTH = 4_000; // long texts are laid out part by part, as they scroll into view
const OTHER_WIDGET = "[role=combobox], [role=listbox], [role=menu], [role=grid], [role=dialog]";
const OPEN_DIALOG = "[role=dialog], [role=alertdialog], dialog[open]";

const queues = new Map(); // by mode and owner: survives leaving the page and coming back
const views = new WeakMap(); // by mounted element: Streamlit calls again for every change of data

export default function ({ data, parentElement, setStateValue }) {
  if (!views.has(parentElement)) views.set(parentElement, new DeckView(parentElement));
  return views.get(parentElement).update(data, setStateValue);
}

class DeckView {
  constructor(parent) {
    this.refs = {};
    for (const node of parent.querySelectorAll("[data-ref]")) this.refs[node.dataset.ref] = node;
    this.root = this.refs.root;
    this.queue = null;
    this.shown = null;
    this.asking = null;
    this.calls = 0;
    this.retryMs = FIRST_RETRY_MS;
    this.actions = this.#actions();
    this.#build();
    this.#listen();
  }

  // ---------------------------------------------------------------- Streamlit's side

  /** Show what the server sent. Only the cleanup of the latest call may disconnect: calls can overtake each other. */
  update(data, setStateValue) {
    const call = ++this.calls;
    this.setStateValue = setStateValue;
    this.mode = data.mode === "compare" ? "compare" : "review";
    this.data = data;
    const name = `${this.mode}/${data.owner}`;
    if (!queues.has(name)) queues.set(name, new Queue(data.owner, this.mode));
    const arrived = this.queue !== queues.get(name);
    this.queue = queues.get(name);
    const { log } = this.queue;
    const resend = arrived || log.deck !== data.deck;
    const before = log.entries.length;
    this.queue.update(data);
    if (log.entries.length < before) this.#acknowledged();
    this.#connect();
    if (resend) log.adopt().then(() => this.#resume());
    else this.#show();
    return () => this.calls === call && this.#disconnect();
  }

  /** Go on with what an earlier visit left: what it decided is not shown again. */
  #resume() {
    this.queue.choose();
    this.#show();
    this.#send();
  }

  #connect() {
    if (this.connected) return;
    // Streamlit fades what waits for the server; nothing here does.
    const frame = this.root.getRootNode().host?.closest("[data-testid=stElementContainer]");
    frame?.style.setProperty("opacity", "1", "important");
    this.connected = new AbortController();
    const { signal } = this.connected;
    document.addEventListener("keydown", (event) => this.#onKey(event), { signal });
    document.addEventListener("visibilitychange", () => this.#watch(), { signal });
    window.addEventListener("pagehide", () => this.queue.keepDrafts(), { signal });
    window.addEventListener("online", () => this.#push(), { signal });
    window.addEventListener("offline", () => this.#renderStatus(), { signal });
    this.#watch();
  }

  #disconnect() {
    this.#stopWatch();
    this.connected?.abort();
    this.connected = null;
    clearTimeout(this.sending);
    clearTimeout(this.retry);
  }

  /** Send after the next example is on screen. */
  #send() {
    clearTimeout(this.sending);
    this.sending = setTimeout(() => this.#push(), 0);
  }

  /** Send all that is not acknowledged, and again later if no acknowledgement comes. */
  #push() {
    clearTimeout(this.retry);
    const { entries } = this.queue.log;
    if (!entries.length || !this.connected) return;
    this.setStateValue("log", entries);
    this.retry = setTimeout(() => {
      this.late = true;
      this.retryMs = Math.min(2 * this.retryMs, LAST_RETRY_MS);
      this.#push();
      this.#renderStatus();
    }, this.retryMs);
  }

  #acknowledged() {
    this.late = false;
    this.retryMs = FIRST_RETRY_MS;
    if (!this.queue.log.entries.length) clearTimeout(this.retry);
  }

  // ---------------------------------------------------------------- deciding

  #actions() {
    return {
      approve: () => this.#approve(),
      needs_revision: () => this.#decide("needs_revision"),
      reject: () => this.#decide("reject"),
      a: () => this.#prefer("a"),
      b: () => this.#prefer("b"),
      tie: () => this.#decide("tie"),
      confirm: () => this.#confirm(),
      skip: () => this.#decide("skip"),
      flag: () => this.#ask("reason"),
      undo: () => this.#undo(),
      cancel: () => this.#ask(null),
      keys: () => this.#toggleSheet(),
      restore: () => this.#restore(),
    };
  }

  #do(action) {
    const always = ["undo", "keys"].includes(action);
    if (always || this.shown) this.actions[action]();
  }

  #approve() {
    if (this.mode === "compare") this.#confirm();
    else if (!this.draft.text && !baseText(this.shown)) this.#view("edit"); // there is nothing to approve yet
    else if (Object.keys(this.draft.scores).length) this.#decide("approve");
    else this.#ask(this.asking === "score" ? null : "score");
  }

  #prefer(option) {
    if (this.draft.choice === option) return this.#confirm();
    this.draft.choice = option;
    return this.#renderChoice();
  }

  #confirm() {
    if (this.draft.choice) this.#decide(this.draft.choice);
  }

  #decide(action, extra = {}) {
    const began = performance.now();
    this.#stopWatch();
    const { draft } = this;
    const judged = COUNTED.has(action);
    this.queue.decide({
      action,
      scores: judged ? { ...draft.scores } : {},
      corrected_output: judged ? draft.text : null,
      notes: draft.notes.trim() || null,
      improvement_suggestions: draft.suggestions.trim() || null,
      ...(["a", "b", "tie"].includes(action) && { strength: draft.strength }),
      ...extra,
      duration_ms: Math.round(draft.spent),
    });
    this.#turn(began);
  }

  #undo() {
    const began = performance.now();
    this.#stopWatch();
    if (this.queue.undo()) this.#turn(began);
    else this.#watch();
  }

  /** Put the next example on screen, then tell the server; note how long that took. */
  #turn(began) {
    if (isTyping(this.root.getRootNode().activeElement)) this.root.focus({ preventScroll: true });
    this.#show();
    if (this.root.getBoundingClientRect().top < 0) this.root.scrollIntoView({ block: "start" });
    this.#send();
    const shown = () => (this.root.dataset.shownMs = (performance.now() - began).toFixed(1));
    requestAnimationFrame(() => requestAnimationFrame(shown));
  }

  #ask(question) {
    this.asking = question;
    this.refs.reason.value = "";
    this.#renderBar();
    if (question === "reason") this.refs.reason.focus();
    else if (isTyping(this.root.getRootNode().activeElement)) this.root.focus({ preventScroll: true });
  }

  #setAll(number) {
    const score = (number - 1) / 4;
    this.draft.scores = Object.fromEntries(number ? SCALES.map(([scale]) => [scale, score]) : []);
    this.#renderScores();
    if (this.asking === "score" && number) this.#decide("approve");
  }

  #restore() {
    this.draft.text = null;
    this.refs.corrected.value = baseText(this.shown);
    this.refs.corrected.focus();
    this.#renderViews();
  }

  /** Time counts while the example is on screen in a tab that is seen. */
  #watch() {
    this.#stopWatch();
    if (this.shown && !document.hidden) this.since = performance.now();
  }

  #stopWatch() {
    if (this.since && this.shown) this.draft.spent += performance.now() - this.since;
    this.since = null;
  }

  get draft() {
    return this.queue.draft(this.shown);
  }

  // ---------------------------------------------------------------- keys

  #onKey(event) {
    const [target] = event.composedPath();
    const inside = event.composedPath().includes(this.root);
    if (event.defaultPrevented || event.isComposing) return;
    if (inside && isTyping(target)) return this.#onFieldKey(event);
    if (isTyping(target) || (!inside && target.closest?.(OTHER_WIDGET))) return;
    const modified = event.ctrlKey || event.metaKey || event.altKey || (event.shiftKey && event.key !== "?");
    if (event.repeat || modified || document.querySelector(OPEN_DIALOG)) return;
    const key = keyOf(event);
    if (this.refs.sheet.open && key !== "?") return;
    if (key === "enter" && target.closest?.("button, summary, a")) return;
    if (this.#press(key)) event.preventDefault();
  }

  #onFieldKey(event) {
    if (event.key === "Escape") {
      if (this.asking) this.#ask(null);
      else this.root.focus({ preventScroll: true });
    } else if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.repeat) {
      if (this.asking === "reason") this.#sendFlag();
      else this.#do("approve");
    } else return;
    event.preventDefault();
  }

  #press(key) {
    const compare = this.mode === "compare";
    const decisions = compare
      ? { a: "a", b: "b", t: "tie", enter: "confirm" }
      : { a: "approve", n: "needs_revision", x: "reject" };
    const action = { s: "skip", f: "flag", u: "undo", "?": "keys", ...decisions }[key];
    if (action) this.#do(action);
    else if (!this.shown) return false;
    else if (/^[0-5]$/.test(key)) this.#digit(Number(key));
    else if (key === "m") this.refs.notes.focus();
    else if (key === "escape") this.#escape();
    else if (key === "d" && !compare) this.#view(this.#nextView());
    else if (key === "e" && !compare) this.#view("edit");
    else return false;
    return true;
  }

  #digit(number) {
    if (this.mode === "review") return this.#setAll(number);
    if (number) this.draft.strength = number;
    return this.#renderChoice();
  }

  #escape() {
    if (this.asking) return this.#ask(null);
    this.draft.choice = null;
    return this.#renderChoice();
  }

  // ---------------------------------------------------------------- building once

  #build() {
    const { scores, strength, quick } = this.refs;
    this.scales = SCALES.map(([scale, label]) =>
      radios(scores, label, FIVE.map(String), (place) => {
        if (place === null) delete this.draft.scores[scale];
        else this.draft.scores[scale] = place / 4;
      }),
    );
    this.strength = radios(strength, "How much better?", FIVE.map(String), (place) => {
      this.draft.strength = (place ?? 2) + 1;
      this.#renderChoice();
    });
    strength.querySelector(".segments").before(make("span", { className: "quiet", textContent: "a little" }));
    strength.querySelector(".segments").after(make("span", { className: "quiet", textContent: "by far" }));
    for (const number of FIVE) {
      const button = make("button", { type: "button", textContent: number });
      button.addEventListener("click", () => this.#setAll(number));
      quick.append(button);
    }
  }

  #listen() {
    const { root, corrected, notes, suggestions, askReason, views, paneA, paneB } = this.refs;
    root.addEventListener("click", (event) => {
      const button = event.target.closest("[data-do]");
      // A double click is one decision; the second would hit an example nobody has read.
      if (button && (event.detail < 2 || button.closest("[data-ref=bar]") === null)) this.#do(button.dataset.do);
    });
    root.addEventListener("keydown", (event) => {
      if (event.repeat && event.key === "Enter" && event.target.closest("button")) event.preventDefault();
    });
    views.addEventListener("click", (event) => {
      const button = event.target.closest("[data-view]");
      if (button) this.#view(button.dataset.view);
    });
    corrected.addEventListener("input", () => {
      this.draft.text = corrected.value === baseText(this.shown) ? null : corrected.value;
      this.#renderViews();
    });
    notes.addEventListener("input", () => (this.draft.notes = notes.value));
    suggestions.addEventListener("input", () => (this.draft.suggestions = suggestions.value));
    askReason.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#sendFlag();
    });
    for (const [pane, option] of [[paneA, "a"], [paneB, "b"]]) {
      pane.addEventListener("click", () => {
        if (this.shown && !window.getSelection()?.toString()) this.#choose(option);
      });
    }
  }

  #choose(option) {
    this.draft.choice = option;
    this.#renderChoice();
  }

  #sendFlag() {
    const reason = this.refs.reason.value.trim();
    if (reason) this.#decide("flag", { reason });
    else this.refs.reason.focus();
  }

  #toggleSheet() {
    const { sheet, sheetKeys } = this.refs;
    if (sheet.open) return sheet.close();
    sheetKeys.replaceChildren(
      ...KEYS[this.mode].flatMap(([key, what]) => {
        const term = make("dt");
        term.append(make("kbd", { textContent: key }));
        return [term, make("dd", { textContent: what })];
      }),
    );
    return sheet.showModal();
  }

  // ---------------------------------------------------------------- showing

  #show() {
    const item = this.queue.current;
    if (item !== this.shown) {
      this.#stopWatch();
      this.shown = item;
      this.asking = null;
      if (item) this.#renderItem(item);
      this.#announce(item);
      this.#watch();
    }
    this.refs.item.hidden = !item;
    this.#renderEmpty();
    this.#renderBar();
    this.#renderStatus();
    this.#renderNotices();
  }

  #renderItem(item) {
    const { refs } = this;
    const compare = this.mode === "compare";
    this.root.classList.toggle("compare", compare);
    show(refs.agent, item.agent);
    show(refs.type, item.type);
    show(refs.work, WORK[item.work]);
    show(refs.origin, [item.domain && `domain ${item.domain}`, item.source && `source ${item.source}`].filter(Boolean).join(" · "));
    const reasons = (item.reasons ?? []).filter(Boolean);
    refs.reasons.replaceChildren(...reasons.map((reason) => make("li", { textContent: reason })));
    refs.why.hidden = !reasons.length;
    fill(refs.input, [[0, item.input || ""]], "No question was reported");
    refs.contextBox.hidden = !item.context;
    refs.contextBox.open = false;
    fill(refs.context, [[0, item.context || ""]]);
    refs.answer.hidden = compare;
    refs.options.hidden = !compare;
    if (compare) this.#renderOptions(item);
    else this.#renderAnswer(item);
    this.#renderJudgement(item);
  }

  #renderOptions(item) {
    fill(this.refs.optionA, [[0, item.option_a || ""]], "No answer was reported");
    fill(this.refs.optionB, [[0, item.option_b || ""]], "No answer was reported");
    this.#renderChoice();
  }

  #renderAnswer(item) {
    this.refs.answerTitle.textContent = item.proposed && !item.original ? "Proposed answer" : "Answer";
    this.#view(this.draft.view === "edit" ? "edit" : this.#usualView(), false);
  }

  #view(view, byHand = true) {
    const { refs } = this;
    const item = this.shown;
    this.draft.view = view;
    refs.single.hidden = !["difference", "plain"].includes(view);
    refs.sides.hidden = view !== "sides";
    refs.editor.hidden = view !== "edit";
    const marks = item.diff ?? [];
    if (view === "difference") fill(refs.single, marks);
    if (view === "plain") fill(refs.single, [[0, baseText(item)]], "No answer was reported");
    if (view === "sides") {
      fill(refs.before, item.diff ? marks.filter(([op]) => op <= 0) : [[0, item.original]]);
      fill(refs.after, item.diff ? marks.filter(([op]) => op >= 0) : [[0, item.proposed]]);
    }
    if (view === "edit") refs.corrected.value = this.draft.text ?? baseText(item);
    if (view === "edit" && byHand) refs.corrected.focus();
    if (view !== "edit" && byHand) this.preferred = view;
    this.#renderViews();
  }

  /** The view that was chosen last, where this example offers it. */
  #usualView() {
    const offered = viewsOf(this.shown);
    return offered.includes(this.preferred) ? this.preferred : offered[0];
  }

  #nextView() {
    const views = viewsOf(this.shown).filter((view) => view !== "edit");
    const at = views.indexOf(this.draft.view);
    return at < 0 ? this.#usualView() : views[(at + 1) % views.length];
  }

  #renderViews() {
    const offered = viewsOf(this.shown);
    for (const button of this.refs.views.querySelectorAll("[data-view]")) {
      button.hidden = !offered.includes(button.dataset.view);
      button.setAttribute("aria-pressed", String(button.dataset.view === this.draft.view));
      const hint = button.querySelector("kbd.next");
      if (hint) hint.hidden = button.dataset.view !== this.#nextView() || button.dataset.view === this.draft.view;
    }
    this.refs.editLabel.textContent = this.draft.text === null ? "Edit" : "Edited";
  }

  #renderJudgement(item) {
    const { refs, draft } = this;
    const compare = this.mode === "compare";
    refs.feedbackBox.hidden = !item.feedback?.length;
    refs.feedback.replaceChildren(...(item.feedback ?? []).map(feedbackEntry));
    refs.earlierBox.hidden = !item.notes?.length;
    refs.earlier.replaceChildren(...(item.notes ?? []).map(({ who, text }) => remark(text, who)));
    const guidelines = this.data.guidelines?.[item.agent];
    refs.guidelinesBox.hidden = !guidelines;
    fill(refs.guidelines, [[0, guidelines || ""]]);
    refs.scoresBox.hidden = compare;
    refs.suggestionsBox.hidden = compare;
    refs.notes.value = draft.notes;
    refs.suggestions.value = draft.suggestions;
    this.#renderScores();
  }

  #renderScores() {
    SCALES.forEach(([scale], place) => {
      const score = this.draft.scores[scale];
      this.scales[place].set(score === undefined ? null : 4 * score);
    });
  }

  #renderChoice() {
    const { choice, strength } = this.draft;
    const { bar, paneA, paneB } = this.refs;
    paneA.classList.toggle("chosen", choice === "a");
    paneB.classList.toggle("chosen", choice === "b");
    for (const option of ["a", "b"]) {
      bar.querySelector(`[data-do=${option}]`).setAttribute("aria-pressed", String(choice === option));
    }
    bar.querySelector("[data-do=confirm]").hidden = !choice;
    this.strength.set(strength - 1);
  }

  #renderBar() {
    const { bar, decide, judge, choose, askReason, askScore } = this.refs;
    const idle = !this.shown;
    const undoable = this.queue.history.length > 0;
    bar.hidden = idle && !undoable;
    decide.hidden = this.asking !== null;
    askReason.hidden = this.asking !== "reason";
    askScore.hidden = this.asking !== "score";
    judge.hidden = idle || this.mode === "compare";
    choose.hidden = idle || this.mode === "review";
    for (const name of ["skip", "flag"]) bar.querySelector(`[data-do=${name}]`).hidden = idle;
    bar.querySelector("[data-do=undo]").disabled = !undoable;
  }

  #renderEmpty() {
    const { empty, emptyTitle, emptyText } = this.refs;
    empty.hidden = Boolean(this.shown);
    if (this.shown) return;
    const waiting = this.queue.log.entries.length > 0;
    const compare = this.mode === "compare";
    const title = compare ? "No two answers to compare" : "Nothing left for you to judge";
    const text = compare
      ? "Examples with two answers to one question come in by import. Single answers are under Judge."
      : "New examples appear here as feedback comes in. You are never given what you wrote or judged yourself.";
    emptyTitle.textContent = waiting ? "Fetching the next ones…" : title;
    emptyText.textContent = waiting ? "What you decided is on its way." : text;
  }

  #renderStatus() {
    const { progress, saving } = this.refs;
    const { log } = this.queue;
    const { done_today: done = 0, waiting = 0 } = this.queue.progress;
    const net = log.uncounted();
    const [today, left] = [done + net, waiting - net].map((number) => Math.max(0, number).toLocaleString("en"));
    progress.textContent = `You decided ${today} today · ${left} waiting in all`;
    const pending = log.entries.length;
    const stuck = pending > 0 && (this.late || !navigator.onLine);
    saving.textContent = stuck
      ? `No connection: ${pending} kept in this browser`
      : pending
        ? `Saving ${pending}…`
        : "Saved";
    saving.classList.toggle("stuck", stuck);
  }

  #renderNotices() {
    const notices = this.queue.notices();
    const stamp = notices.map(([name]) => name).join(" ");
    if (stamp === this.noticed) return;
    this.noticed = stamp;
    this.refs.notices.replaceChildren(
      ...notices.map(([, refusal]) => {
        const notice = make("div", { className: "notice" });
        const text = make("p");
        const about = shorten(refusal.about, 80);
        text.append(make("strong", { textContent: "Not saved. " }), make("span", { textContent: refusal.why }));
        if (about) text.append(make("span", { className: "quiet", textContent: ` “${about}”` }));
        const close = make("button", { type: "button", className: "plain", textContent: "Dismiss" });
        close.addEventListener("click", () => {
          refusal.dismissed = true;
          this.#renderNotices();
        });
        notice.append(text, close);
        return notice;
      }),
    );
  }

  #announce(item) {
    this.refs.announcer.textContent = item
      ? `Next: ${item.agent}, ${item.type}. ${shorten(item.input || "No question was reported", 160)}`
      : "Nothing left on screen";
  }
}

// ---------------------------------------------------------------- pieces

function make(tag, properties = {}) {
  return Object.assign(document.createElement(tag), properties);
}

function show(node, text) {
  node.textContent = text ?? "";
  node.hidden = !text;
}

function shorten(text, length) {
  const line = text.slice(0, 4 * length).replace(/\s+/g, " ").trim();
  return line.length > length ? `${line.slice(0, length).trimEnd()}…` : line;
}

function baseText(item) {
  return item.proposed || item.original || "";
}

function viewsOf(item) {
  if (!item.original || !item.proposed || item.original === item.proposed) return ["plain", "edit"];
  return item.diff ? ["difference", "sides", "edit"] : ["sides", "edit"];
}

/** Show marked text in a node: [0, kept], [-1, struck out], [1, put in]. */
function fill(node, marks, missing = "") {
  const empty = marks.every(([, text]) => !text);
  const parts = [make("div")];
  let length = 0;
  for (const [op, text] of empty ? [[0, missing]] : marks) {
    for (let rest = text || ""; rest; ) {
      const end = partEnd(rest, PART_LENGTH - length);
      const piece = rest.slice(0, end);
      parts.at(-1).append(op ? make(op < 0 ? "del" : "ins", { textContent: piece }) : piece);
      rest = rest.slice(end);
      length += piece.length;
      if (rest) {
        parts.push(make("div"));
        length = 0;
      }
    }
  }
  node.classList.toggle("missing", empty);
  node.classList.toggle("parted", parts.length > 1);
  node.toggleAttribute("tabindex", false);
  if (parts.length > 1 || length > 600) node.tabIndex = 0; // it may scroll, so the keyboard must reach it
  node.replaceChildren(...parts);
  node.scrollTop = 0;
}

/** Where a part may end: after a line if one ends soon, else between two signs. */
function partEnd(text, room) {
  if (text.length <= Math.max(room, 1)) return text.length;
  const from = Math.max(room, 0);
  const line = text.slice(from, from + PART_LENGTH).indexOf("\n");
  if (line >= 0) return from + line + 1;
  const end = Math.min(from + PART_LENGTH, text.length);
  return /[\uD800-\uDBFF]/.test(text[end - 1] ?? "") ? end + 1 : end;
}

function feedbackEntry({ said, stars, issues, comment, who, when }) {
  const entry = make("li");
  const head = make("p", { className: "line tight" });
  head.append(make("strong", { textContent: said ?? "" }));
  if (stars) head.append(make("span", { className: "quiet", textContent: stars }));
  for (const issue of (issues ?? []).filter(Boolean)) head.append(make("span", { className: "badge", textContent: issue }));
  entry.append(head);
  if (comment) entry.append(make("p", { className: "words", textContent: comment }));
  const by = [who, when].filter(Boolean).join(" · ");
  if (by) entry.append(make("p", { className: "quiet small", textContent: by }));
  return entry;
}

function remark(text, who) {
  const entry = make("li");
  entry.append(make("p", { className: "words", textContent: text }));
  entry.append(make("p", { className: "quiet small", textContent: who ?? "" }));
  return entry;
}

/** A row of which one segment is chosen: arrows move, Delete clears. */
function radios(parent, label, options, onPick) {
  const row = make("div", { className: "scale" });
  const name = make("span", { className: "name", textContent: label });
  const group = make("div", { className: "segments" });
  group.setAttribute("role", "radiogroup");
  group.setAttribute("aria-label", label);
  const buttons = options.map((text) => {
    const button = make("button", { type: "button", textContent: text });
    button.setAttribute("role", "radio");
    return button;
  });
  const set = (place) => {
    buttons.forEach((button, i) => {
      button.setAttribute("aria-checked", String(i === place));
      button.tabIndex = i === (place ?? 0) ? 0 : -1;
    });
  };
  const pick = (place) => {
    set(place);
    onPick(place);
  };
  buttons.forEach((button, place) => button.addEventListener("click", () => pick(place)));
  group.addEventListener("keydown", (event) => {
    const at = buttons.indexOf(event.target);
    const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    if (event.key === "Delete" || event.key === "Backspace") pick(null);
    else if (step) {
      const chosen = event.target.getAttribute("aria-checked") === "true";
      const place = chosen ? Math.min(Math.max(at + step, 0), options.length - 1) : at;
      pick(place);
      buttons[place].focus();
    } else return;
    event.preventDefault();
  });
  group.append(...buttons);
  row.append(name, group);
  parent.append(row);
  set(null);
  return { set };
}

function isTyping(node) {
  if (!node?.matches) return false;
  const writable = "textarea, select, input:not([type=checkbox], [type=radio], [type=button], [type=submit], [type=range])";
  return node.matches(writable) || node.isContentEditable;
}

/** The key by what it writes; by where it lies on keyboards that write other letters. */
function keyOf({ key, code }) {
  if (/^[a-z0-9?]$/i.test(key) || key.length > 1) return key.toLowerCase();
  return code.replace(/^(Key|Digit)/, "").toLowerCase();
}
