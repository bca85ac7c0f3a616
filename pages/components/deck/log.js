// What was decided here and is on its way to the server. Nothing in this file touches the page.

const HISTORY = 50;
const COUNTED = new Set(["approve", "needs_revision", "reject", "a", "b", "tie"]);

/** Decisions the server has not acknowledged, numbered within a deck and kept in this browser until it has. */
class DecisionLog {
  constructor(owner, mode) {
    this.prefix = `afterglow/deck/${mode}/${owner}/`;
    this.deck = null;
    this.acked = 0;
    this.entries = [];
  }

  /** Take over what the server has applied; return the entries it acknowledged. */
  follow(deck, acked) {
    if (deck !== this.deck) this.#moveTo(deck, acked);
    this.acked = Math.max(this.acked, acked);
    const done = this.entries.filter((entry) => entry.seq <= this.acked);
    if (done.length) {
      this.entries = this.entries.filter((entry) => entry.seq > this.acked);
      this.#keep();
    }
    return done;
  }

  append(entry) {
    const seq = (this.entries.at(-1)?.seq ?? this.acked) + 1;
    this.entries.push({ seq, deck: this.deck, ...entry });
    this.#keep();
  }

  /** Ids whose latest unacknowledged entry is a decision. */
  decided() {
    const last = new Map(this.entries.map((entry) => [entry.id, entry.action]));
    return new Set([...last].filter(([, action]) => action !== "undo").map(([id]) => id));
  }

  /** How many judgements the server has yet to count. */
  uncounted() {
    const weigh = (entry) => COUNTED.has(entry.action) - COUNTED.has(entry.undoes);
    return this.entries.reduce((sum, entry) => sum + weigh(entry), 0);
  }

  /** Bring in what decks that are gone left behind; a deck in another open tab holds its lock and keeps its own. */
  async adopt() {
    for (const name of stored(this.prefix).filter((name) => name !== this.#name())) {
      if (!navigator.locks) this.#take(name);
      else await navigator.locks.request(name, { ifAvailable: true }, (lock) => lock && this.#take(name));
    }
  }

  #name() {
    return this.prefix + this.deck;
  }

  #moveTo(deck, acked) {
    const old = this.deck === null ? null : this.#name();
    this.deck = deck;
    this.acked = acked;
    const own = kept(this.#name()).filter((entry) => entry.seq > acked);
    this.entries = this.#renumbered([...own, ...this.entries], acked);
    this.#keep();
    if (old) forget(old);
    this.release?.();
    navigator.locks?.request(this.#name(), () => new Promise((resolve) => (this.release = resolve)));
  }

  #take(name) {
    const last = this.entries.at(-1)?.seq ?? this.acked;
    this.entries.push(...this.#renumbered(kept(name), last));
    this.#keep();
    forget(name);
  }

  #renumbered(entries, last) {
    return entries.map((entry, place) => ({ ...entry, deck: this.deck, seq: last + 1 + place }));
  }

  #keep() {
    if (!this.entries.length) return forget(this.#name());
    return write(this.#name(), this.entries);
  }
}

function stored(prefix) {
  try {
    return Object.keys(localStorage).filter((name) => name.startsWith(prefix));
  } catch {
    return [];
  }
}

function kept(name) {
  return read(name).filter((entry) => entry?.id && entry.action);
}

function read(name) {
  try {
    const rows = JSON.parse(localStorage.getItem(name));
    return Array.isArray(rows) ? rows : [];
  } catch {
    return [];
  }
}

function write(name, rows) {
  try {
    localStorage.setItem(name, JSON.stringify(rows));
  } catch {
    // Private windows and full stores keep nothing: what is pending then lives as long as this tab.
  }
}

function forget(name) {
  try {
    localStorage.removeItem(name);
  } catch {
    // Where nothing can be kept there is nothing to forget.
  }
}

/** The examples in hand: which is on screen, what was entered for each, and the way back. */
class Queue {
  constructor(owner, mode) {
    this.log = new DecisionLog(owner, mode);
    this.items = [];
    this.returned = []; // taken back by an undo: shown before all others
    this.settled = new Set(); // acknowledged, but still listed by the server
    this.history = [];
    this.draftsName = `afterglow/drafts/${mode}/${owner}`;
    this.drafts = new Map(read(this.draftsName));
    this.refusals = new Map();
    this.current = null;
    this.progress = {};
  }

  /** Take over what the server sent. */
  update(data) {
    const last = new Map(this.log.follow(data.deck, data.acked).map((entry) => [entry.id, entry.action]));
    for (const [id, action] of last) {
      if (action !== "undo" && action !== "skip") this.settled.add(id);
    }
    this.items = data.items;
    this.progress = data.progress ?? {};
    const listed = new Set(this.items.map((item) => item.id));
    this.settled = new Set([...this.settled].filter((id) => listed.has(id)));
    for (const refusal of data.refused ?? []) this.#refuse(refusal);
    this.choose();
  }

  /** Keep the example on screen as long as it is ours or something was entered for it. */
  choose() {
    const open = this.#open();
    const { current } = this;
    const decided = current && this.log.decided().has(current.id);
    const ours = current && open.some((item) => item.id === current.id);
    if (!current || decided || (!ours && !isTouched(this.draft(current)))) this.current = open[0] ?? null;
  }

  draft(item) {
    if (!this.drafts.has(item.id)) this.drafts.set(item.id, newDraft());
    return this.drafts.get(item.id);
  }

  /** Keep what was entered and not decided, in case the tab goes. */
  keepDrafts() {
    const open = new Set([this.current, ...this.#open()].map((item) => item?.id));
    const begun = [...this.drafts].filter(([id, draft]) => open.has(id) && isTouched(draft));
    if (begun.length) write(this.draftsName, begun);
    else forget(this.draftsName);
  }

  /** Decide the example on screen and move to the next. */
  decide(entry) {
    const item = this.current;
    const draft = this.draft(item);
    this.log.append({ id: item.id, ...entry });
    this.history.push({ item, draft, action: entry.action });
    if (this.history.length > HISTORY) this.history.shift();
    this.drafts.delete(item.id);
    this.returned = this.returned.filter((other) => other.id !== item.id);
    this.current = null;
    this.choose();
  }

  /** Take the last decision back and show its example again as it was left. */
  undo() {
    const last = this.history.pop();
    if (!last) return false;
    this.log.append({ id: last.item.id, action: "undo", undoes: last.action });
    this.drafts.set(last.item.id, { ...last.draft, spent: 0 });
    this.returned = [last.item, ...this.returned];
    this.settled.delete(last.item.id);
    this.current = last.item;
    return true;
  }

  notices() {
    return [...this.refusals].filter(([, refusal]) => !refusal.dismissed);
  }

  #open() {
    const decided = this.log.decided();
    const back = new Set(this.returned.map((item) => item.id));
    const fresh = this.items.filter(
      ({ id }) => !decided.has(id) && !back.has(id) && !this.settled.has(id),
    );
    return [...this.returned, ...fresh];
  }

  #refuse({ seq, id, why }) {
    const name = `${this.log.deck}/${seq}`;
    if (this.refusals.has(name)) return;
    const made = this.history.findLast(({ item }) => item.id === id);
    const about = made?.item ?? [...this.returned, ...this.items].find((item) => item.id === id);
    this.refusals.set(name, { why, about: about?.input ?? "", dismissed: false });
    this.settled.delete(id);
    this.returned = this.returned.filter((item) => item.id !== id);
    this.history = this.history.filter(({ item }) => item.id !== id);
    if (made && !this.drafts.has(id)) this.drafts.set(id, made.draft);
    if (this.current?.id === id && !this.items.some((item) => item.id === id)) this.current = null;
  }
}

function newDraft() {
  return { scores: {}, text: null, notes: "", suggestions: "", view: null, choice: null, strength: 3, spent: 0 };
}

function isTouched({ scores, text, notes, suggestions, choice }) {
  return text !== null || choice !== null || Boolean(notes || suggestions) || Object.keys(scores).length > 0;
}
