/* <afterglow-feedback>: lets a person judge one answer of an AI agent, on any web page.
 *
 *   <script src="https://host/api/widget.js" async></script>
 *   <afterglow-feedback execution-id="…" agent-id="…" token="…" for="#answer"></afterglow-feedback>
 *
 * More attributes: api, theme (light | dark). Properties: token, labels, answer (instead of for).
 * Events: afterglow-feedback (detail: what was sent), afterglow-token-expired (then set a fresh token).
 */
(() => {
const API = document.currentScript?.src.replace(/\/widget\.js.*/, "");
const ISSUES = {
	incorrect: "Incorrect",
	incomplete: "Incomplete",
	unclear: "Unclear",
	hallucination: "Made up",
	outdated: "Outdated",
	formatting: "Formatting",
	tone: "Tone",
	other: "Something else",
};
const LABELS = {
	...ISSUES,
	question: "Was this answer helpful?",
	thumbs_up: "Yes, helpful",
	thumbs_down: "No, not helpful",
	more: "More feedback",
	rating: "Rating",
	star: "{n} of 5 stars",
	issue_categories: "What was wrong?",
	feedback_text: "Comment",
	edit: "Edit the answer",
	correction_text: "Your version",
	send: "Send",
	undo: "Undo",
	retry: "Try again",
	sending: "Sending…",
	thanks: "Thank you.",
	withdrawn: "Withdrawn.",
	empty: "Nothing to send yet.",
	expired: "Your session has expired.",
	offline: "The server cannot be reached.",
	failed: "This could not be sent.",
	kept: "What you entered is kept.",
	busy: "Too many requests. Sending again in {n} s.",
};
const THUMB = "M7 11v10H4q-1 0-1-1v-8q0-1 1-1h3l4-8q2.5 0 2.5 2.5V9H19q2.3 0 2 2.3l-1.2 8q-.3 1.7-2 1.7H7";
const STAR = "M12 3.1l2.6 6.2 6.7.6-5 4.4 1.5 6.5-5.8-3.4-5.8 3.4 1.5-6.5-5-4.4 6.7-.6z";

// A constructed sheet, like text set as text, passes any content security policy.
const sheet = new CSSStyleSheet();
sheet.replaceSync(`
:host { color-scheme: light dark; display: block; max-width: 36em }
:host([hidden]), [hidden], [hidden] + .foot .send { display: none !important }
.card {
	--text: var(--afterglow-text, light-dark(#24262d, #e8e8ec));
	--surface: var(--afterglow-surface, light-dark(#fff, #1e1f24));
	--border: var(--afterglow-border, light-dark(#dfe0e5, #3a3c45));
	--accent: var(--afterglow-accent, light-dark(#b3460e, #f4a76c));
	--radius: var(--afterglow-radius, 12px);
	--muted: color-mix(in srgb, var(--text) 70%, var(--surface));
	--edge: color-mix(in srgb, var(--text) 45%, var(--surface));
	display: inline-flex; flex-wrap: wrap; max-width: 100%; padding: .3em .4em;
	border: 1px solid var(--border); border-radius: var(--radius); background: var(--surface);
	color: var(--text); font-size: .9em; line-height: 1.45; text-align: start; white-space: normal;
}
:host([theme=light]) { color-scheme: light }
:host([theme=dark]) { color-scheme: dark }
* { box-sizing: border-box }
.row, .foot, .stars, .chips { display: flex; align-items: center; gap: .3em }
.foot, .chips { flex-wrap: wrap }
.row > .label { padding: 0 .6em; font-weight: inherit }
button, textarea { border: 0; border-radius: calc(var(--radius) * .7); background: none; color: inherit; font: inherit }
button { padding: .4em .7em; cursor: pointer }
button:hover { background: color-mix(in srgb, var(--text) 7%, transparent) }
:focus-visible, .star:focus-within { outline: 2px solid var(--accent); outline-offset: 1px }
svg { display: block; width: 1.35em; fill: none; stroke: currentColor; stroke-width: 1.7; stroke-linejoin: round }
.icon { padding: .5em; color: var(--muted) }
[value=thumbs_down] svg, [aria-expanded=true] svg { transform: scaleY(-1) }
.details { width: 100%; display: grid; gap: 1em; margin-top: .3em; padding: 1em .6em 0; border-top: 1px solid var(--border) }
.label { font-weight: 600 }
.block { display: grid; gap: .4em }
.stars { margin: 0 -.2em }
.star { padding: .2em; color: var(--edge); cursor: pointer }
.star input { position: absolute; opacity: 0 }
.star svg { width: 1.6em }
.star:hover, .star:has(~ :hover, :checked, ~ * :checked) { color: var(--accent) }
.star:has(:checked, ~ * :checked) path { fill: currentColor }
.chip, textarea { border: 1px solid var(--edge) }
.chip { padding: .25em .85em; border-radius: 99px }
[aria-pressed=true] { background: color-mix(in srgb, var(--accent) 13%, var(--surface)) !important; color: var(--accent); border-color: currentColor }
[aria-pressed=true] path { fill: color-mix(in srgb, currentColor 25%, transparent) }
textarea { min-height: 5em; max-height: 22em; padding: .55em .75em; resize: vertical; field-sizing: content }
.link { color: var(--accent); font-weight: 600 }
.edit { justify-self: start; margin: -.4em -.7em }
.foot, .status { flex: 1; justify-content: end }
.status { color: var(--muted); overflow-wrap: anywhere }
.status:not(:empty) { min-width: 14em; padding: 0 .6em }
.trouble .status { color: light-dark(#b3261e, #ffb4ab) }
.details:not([hidden]) + .foot { padding: .8em .6em .4em 0 }
.send { padding-inline: 1.3em; background: var(--accent) !important; font-weight: 600;
	color: var(--afterglow-on-accent, light-dark(#fff, #261404)) }
@keyframes reveal { from { opacity: 0 } }
@media (prefers-reduced-motion: no-preference) { button, .star, svg { transition: .15s } .details { animation: reveal .2s } }
@media (forced-colors: active) { [aria-pressed=true] { border: 2px solid Highlight } }
`);

const make = (tag, attributes, ...children) => {
	const node = document.createElement(tag);
	for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
	node.part = node.className;
	node.append(...children);
	return node;
};
const box = (name, ...children) => make("div", { class: name }, ...children);
// data-text and data-label name the entry of labels to be shown or spoken.
const label = (key) => make("label", { class: "label", id: `${key}-label`, for: key, "data-text": key });
const group = (name, role, key, ...children) => make("div", { class: name, role, "aria-labelledby": `${key}-label` }, ...children);
const field = (key, maxlength) => make("textarea", { class: "field", id: key, maxlength });
const icon = (shape) => {
	const [svg, path] = ["svg", "path"].map((tag) => document.createElementNS("http://www.w3.org/2000/svg", tag));
	svg.setAttribute("viewBox", "0 0 24 24");
	path.setAttribute("d", shape);
	svg.append(path);
	return svg;
};
const button = (name, key, act, shape) => {
	const node = make("button", { type: "button", class: name, value: key, [shape ? "data-label" : "data-text"]: key });
	if (shape) node.append(icon(shape));
	node.addEventListener("click", () => act(node));
	return node;
};
const pressed = (buttons) => buttons.filter((node) => node.ariaPressed === "true").map((node) => node.value);

function mount(host) {
	const root = host.attachShadow({ mode: "open" });
	let labels, token, timer;
	let original; // the answer as the editor first showed it
	let asked; // what the person last asked to send; the screen may be ahead of it
	let wish; // the request not yet granted; a newer one takes its place
	let busy = false;

	const thumbs = ["thumbs_up", "thumbs_down"].map((key) => button("icon thumb", key, () => choose(key), THUMB));
	const more = button("icon more", "more", () => reveal(details.hidden), "M6 9.5l6 6 6-6");
	const stars = [1, 2, 3, 4, 5].map((value) => make("input", { type: "radio", name: "rating", value, "data-label": "star" }));
	const chips = Object.keys(ISSUES).map((key) => button("chip", key, (chip) => (chip.ariaPressed = chip.ariaPressed !== "true")));
	const issues = group("block", "group", "issue_categories", label("issue_categories"), box("chips", ...chips));
	const comment = field("feedback_text", 20000);
	const edit = button("link edit", "edit", open);
	const editor = field("correction_text", 500000);
	const edited = box("block", label("correction_text"), editor);
	const details = box("details",
		group("block", "radiogroup", "rating", label("rating"),
			box("stars", ...stars.map((star) => make("label", { class: "star" }, star, icon(STAR))))),
		issues, box("block", label("feedback_text"), comment), edit, edited);
	const status = make("span", { class: "status", role: "status" });
	const retry = button("link retry", "retry", () => leave({ ...wish, renewed: false }));
	const undo = button("link undo", "undo", () => leave({ method: "DELETE" }));
	const card = group("card", "group", "question", box("row", label("question"), ...thumbs, more), details,
		box("foot", status, retry, undo, button("send", "send", send)));
	details.addEventListener("change", render);
	card.addEventListener("keydown", key);

	function choose(thumb) {
		for (const node of thumbs) node.ariaPressed = node.value === thumb;
		// Only the thumb goes out at once: words still being written wait for Send.
		if (wish || asked.thumb !== thumb) ask({ ...asked, thumb });
		reveal(true);
	}

	function open() {
		edited.hidden = !edited.hidden;
		if (editor.value === original) {
			const selector = host.getAttribute("for");
			const shown = selector && host.getRootNode().querySelector(selector)?.textContent.trim();
			editor.value = host.answer ?? shown ?? "";
			original = editor.value; // as fields change line ends
		}
		render();
		editor.focus();
	}

	function send() {
		const given = screen();
		if (Object.values(given).some(Boolean)) ask(given, JSON.stringify(given));
		else tell(word("empty"), "trouble");
	}

	function reveal(shown) {
		details.hidden = !shown;
		render();
	}

	function key(event) {
		const closing = event.key === "Escape" && !event.isComposing && !details.hidden;
		if (closing) reveal(false);
		// To the page, typing in here would look like its own shortcuts.
		if (closing || event.target.matches("textarea")) event.stopPropagation();
	}

	function screen() {
		const changed = !edited.hidden && editor.value !== original && editor.value.trim();
		const chosen = pressed(chips);
		return {
			thumb: pressed(thumbs)[0],
			rating: stars.findIndex((star) => star.checked) + 1 || undefined,
			feedback_text: comment.value.trim() || undefined,
			correction_text: changed ? editor.value : undefined,
			issue_categories: chosen[0] && chosen,
		};
	}

	function clear() {
		clearTimeout(timer);
		asked = {};
		wish = null;
		for (const node of [...thumbs, ...chips]) node.ariaPressed = false;
		for (const star of stars) star.checked = false;
		comment.value = editor.value = original = "";
		edited.hidden = details.hidden = undo.hidden = true;
		tell("");
	}

	function word(key, n) {
		return labels[key].replace("{n}", n);
	}

	function translate(words) {
		labels = { ...LABELS, ...words };
		for (const node of card.querySelectorAll("[data-text]")) node.textContent = word(node.dataset.text);
		for (const node of card.querySelectorAll("[data-label]"))
			node.title = node.ariaLabel = word(node.dataset.label, node.value);
	}

	function tell(text, mood = "") {
		status.textContent = text;
		card.className = `card ${mood}`;
		retry.hidden = !mood.includes("retry");
		render();
	}

	function render() {
		const focused = root.activeElement;
		const { thumb, rating, issue_categories } = screen();
		issues.hidden = !(thumb === "thumbs_down" || rating <= 3 || issue_categories);
		more.ariaExpanded = !details.hidden;
		edit.ariaExpanded = !edited.hidden;
		if (focused?.checkVisibility() === false) more.focus(); // not to the page's top
	}

	function ask(given, close) {
		const { thumb, ...fields } = given;
		const reaction = thumb ?? (fields.rating ? "star_rating" : "detailed_feedback");
		const body = {
			execution_id: host.getAttribute("execution-id"),
			agent_id: host.getAttribute("agent-id"),
			feedback_type: fields.correction_text ? "correction" : reaction,
			...fields,
		};
		asked = given;
		want({ method: "POST", body: JSON.stringify(body), close });
	}

	function leave(request) {
		more.focus(); // as the pressed button is about to vanish
		want(request);
	}

	function want(request) {
		wish = request;
		deliver();
	}

	// One request at a time, so that an older state never overtakes a newer one.
	async function deliver() {
		if (busy) return; // the loop below finds the newest wish itself
		busy = true;
		clearTimeout(timer);
		while (wish) {
			const [request, pass] = [wish, token];
			tell(word("sending"));
			const response = pass ? await post(request, pass) : new Response(null, { status: 401 });
			const answer = await response.json().catch(() => ({}));
			const expired = response.status === 401;
			if (response.ok) granted(request);
			if (expired && pass === token && !request.renewed) {
				request.renewed = true; // once per try, lest stale tokens loop
				announce("afterglow-token-expired");
			}
			if (request !== wish || (expired && pass !== token)) continue;
			explain(response, answer);
			break;
		}
		busy = false;
	}

	function post({ method, body }, pass) {
		return fetch(`${host.getAttribute("api") ?? API}/learning/widget/feedback`, {
			method, body,
			headers: { Authorization: `Bearer ${pass}`, "Content-Type": "application/json" },
			credentials: "omit",
			keepalive: !(body?.length > 15000), // outlives the page, but is limited to 64 KiB
			signal: AbortSignal.timeout(20000),
		}).catch(() => Response.error());
	}

	function granted(request) {
		const { body, close } = request;
		if (request === wish) {
			wish = null;
			if (!body) clear();
			undo.hidden = !body;
			// Close what is sent as it stands, not what is being written on.
			if (close === JSON.stringify(screen())) details.hidden = true;
			tell(word(body ? "thanks" : "withdrawn"));
		}
		if (body) announce("afterglow-feedback", JSON.parse(body));
	}

	function announce(name, detail) {
		host.dispatchEvent(new CustomEvent(name, { bubbles: true, composed: true, detail }));
	}

	function explain({ status, headers }, { detail, errors }) {
		if (status === 429) {
			const seconds = Number(headers.get("Retry-After")) || 10;
			timer = setTimeout(deliver, seconds * 1000);
			tell(word("busy", seconds), "trouble");
		} else if (errors?.length) {
			const { field, message } = errors[0];
			wish = null; // the same again would be refused again
			tell(LABELS[field] ? `${word(field)}: ${message}` : message, "trouble");
		} else {
			const reason = { 0: word("offline"), 401: word("expired") }[status] ?? `${word("failed")} ${detail ?? ""}`;
			tell(`${reason} ${word("kept")}`, "trouble retry");
		}
	}

	// Not on the class: what the page set before this script arrived would hide them.
	const early = [host.labels, host.token];
	Object.defineProperties(host, {
		labels: { set: translate },
		token: { set: (fresh) => { token = fresh; deliver(); } },
	});
	[host.labels, host.token] = early;
	clear();
	root.adoptedStyleSheets = [sheet];
	root.append(card);
	return clear;
}

if (!customElements.get("afterglow-feedback")) customElements.define("afterglow-feedback", class extends HTMLElement {
	static observedAttributes = ["token", "execution-id"];
	#clear = mount(this);

	attributeChangedCallback(name, before, after) {
		if (name === "token") this.token = after;
		else if (before && before !== after) this.#clear(); // another answer: nothing carries over
	}
});
})();
