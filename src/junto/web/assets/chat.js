// The chat page of an agent: what is said goes over a WebSocket, which may break at any moment and nothing is lost or shown twice.
// What a model says is not trusted: its Markdown becomes elements one by one, and all text of it is set as text.
"use strict";

const byId = (id) => document.getElementById(id);
const at = location.pathname;
const DEAD_AFTER = 45000; // ms without a frame; the server sends one every 20 s
const LONGEST_PAUSE = 15000;
const REFUSED = {
  401: "This chat is opened by a link. Yours may have run out: ask for a new one.",
  403: "This page may not open the chat.",
  404: "This chat is not available.",
  4401: "Your link has run out. Ask for a new one.",
  4404: "This chat is not available any more.",
};

function element(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children); // strings become text nodes
  return made;
}

// ---- Markdown ----

const SPAN = /(`{1,3})([^`]+)\1|!?\[([^\]\n]{0,400})\]\(\s*<?([^\s()<>]{1,2000})>?(?:\s+"[^"\n]{0,200}")?\s*\)|<?(https?:\/\/[^\s<>"'`]{1,2000})>?|(\*\*\*|\*\*|\*|~~)(?=\S)([^\n]{0,3000}?\S)\6|(?<![\p{L}\p{N}_])(__|_)(?=\S)([^\n]{0,3000}?\S)\8(?![\p{L}\p{N}_])|\\([\\`*_{}[\]()#+.!~>-])/gu;
const EMPHASIS = { "**": "strong", __: "strong", "*": "em", _: "em", "~~": "s" };

function link(address, label) {
  let url;
  try {
    url = new URL(address);
  } catch {
    return null;
  }
  if (!["http:", "https:", "mailto:"].includes(url.protocol) || url.username || url.password) return null; // https://bank.example@elsewhere
  return element("a", { href: url.href, target: "_blank", rel: "noopener noreferrer nofollow" }, ...label);
}

function spans(text, depth = 0) {
  const made = [];
  let end = 0;
  if (depth < 5) {
    for (const found of text.matchAll(SPAN)) {
      const [all, , code, label, address, bare, mark, inner, mark2, inner2, escaped] = found;
      let node = null;
      let rest = "";
      if (code !== undefined) node = element("code", {}, code.trim() || code);
      else if (address !== undefined) node = linkOf(label, address, depth);
      else if (bare !== undefined) {
        const plain = bare.replace(/[.,;:!?)*_\]]+$/, "");
        node = all.startsWith("<") ? link(bare, [bare]) : link(plain, [plain]);
        if (node && !all.startsWith("<")) rest = bare.slice(plain.length);
      } else if (mark || mark2) {
        const content = spans(inner ?? inner2, depth + 1);
        node = mark === "***" ? element("strong", {}, element("em", {}, ...content)) : element(EMPHASIS[mark || mark2], {}, ...content);
      } else if (escaped) node = document.createTextNode(escaped);
      if (!node) continue; // stays as it is written
      made.push(text.slice(end, found.index), node, rest);
      end = found.index + all.length;
    }
  }
  made.push(text.slice(end));
  return made.filter((part) => part !== "");
}

function linkOf(label, address, depth) {
  const made = link(address, label ? spans(label.replace(/https?:\/\/\S+/g, (url) => url.replace(/[:/.]/g, "$&\u200b")), depth + 1) : [address]);
  if (!made) return null;
  // A label that looks like another address must not hide where the link leads.
  const said = made.textContent.replace(/\p{Cf}/gu, "").trim();
  if (/https?:|[\p{L}\p{N}]\.\p{L}{2}/iu.test(said) && ![address, made.host || made.pathname].includes(said)) made.append(` (${made.host || made.pathname})`);
  return made;
}

const ITEM = /^(\s*)(?:([-*+])|(\d{1,9})[.)])\s+(.*)$/s;

function markdown(text) {
  const lines = text.replace(/\r\n?/g, "\n").split("\n");
  const made = document.createDocumentFragment();
  for (let i = 0; i < lines.length; ) i = block(lines, i, made);
  return made;
}

function block(lines, i, into) {
  const line = lines[i];
  if (!line.trim()) return i + 1;
  // Each of these expressions reads a line once, whatever is in it: a few thousand blanks must not hold up the page.
  const fence = /^\s{0,3}(`{3,}|~{3,})(.*)$/s.exec(line);
  if (fence && !fence[2].includes("`")) {
    let end = i + 1;
    while (end < lines.length && !lines[end].trim().startsWith(fence[1])) end++;
    const pre = element("pre", { tabIndex: 0 }, element("code", {}, lines.slice(i + 1, end).join("\n")));
    pre.setAttribute("role", "group");
    const language = /^[\w+#.-]{0,30}/.exec(fence[2].trim())[0];
    pre.setAttribute("aria-label", language ? `Code, ${language}` : "Code");
    into.append(pre);
    return end + 1;
  }
  const heading = /^#{1,6}\s(.*)$/s.exec(line);
  if (heading) {
    const words = heading[1].trim();
    let end = words.length;
    while (words[end - 1] === "#") end--;
    into.append(element("p", { className: "heading" }, ...spans(words.slice(0, end).trim())));
    return i + 1;
  }
  if (/^\s{0,3}([-*_])(\s*\1){2,}\s*$/.test(line)) {
    into.append(element("hr", {}));
    return i + 1;
  }
  if (/^\s{0,3}>/.test(line)) {
    const quote = element("blockquote", {});
    let end = i;
    while (end < lines.length && /^\s{0,3}>/.test(lines[end])) end++;
    paragraph(lines.slice(i, end).map((one) => one.replace(/^\s{0,3}>\s?/, "")), quote);
    into.append(quote);
    return end;
  }
  if (ITEM.test(line)) return list(lines, i, into);
  let end = i;
  while (end < lines.length && lines[end].trim() && !(end > i && begins(lines[end]))) end++;
  const paragraphNode = element("p", {});
  paragraph(lines.slice(i, end), paragraphNode);
  into.append(paragraphNode);
  return end;
}

const begins = (line) => ITEM.test(line) || /^\s{0,3}(`{3,}|~{3,}|>|#{1,6}\s)/.test(line);

function paragraph(lines, into) {
  lines.forEach((line, n) => {
    if (n) into.append(element("br", {}));
    into.append(...spans(line.trim()));
  });
}

function list(lines, i, into) {
  const open = []; // the lists that are not closed yet: {indent, node}
  for (; i < lines.length; i++) {
    const found = ITEM.exec(lines[i]);
    if (!found) {
      if (lines[i].trim() && /^\s+/.test(lines[i]) && open.length && !begins(lines[i])) {
        open[open.length - 1].node.lastElementChild.append(" ", ...spans(lines[i].trim()));
        continue;
      }
      if (!lines[i].trim() && i + 1 < lines.length && ITEM.test(lines[i + 1])) continue;
      break;
    }
    const indent = found[1].length;
    while (open.length > 1 && indent < open[open.length - 1].indent) open.pop();
    const here = open[open.length - 1];
    if (!here || (indent > here.indent + 1 && open.length < 5)) {
      const node = found[2] ? element("ul", {}) : element("ol", { start: Number(found[3]) });
      (here ? here.node.lastElementChild : into).append(node);
      open.push({ indent, node });
    }
    open[open.length - 1].node.append(element("li", {}, ...spans(found[4])));
  }
  return i;
}

// ---- Messages ----

const shown = new Map(); // "user/id" and "assistant/id" to what stands for it on the page
let title = "The assistant";

function timeOf(ms) {
  const when = new Date(ms || Date.now());
  const today = when.toDateString() === new Date().toDateString();
  const style = { hour: "2-digit", minute: "2-digit", ...(today ? {} : { day: "numeric", month: "short" }) };
  return element("time", { dateTime: when.toISOString() }, when.toLocaleString([], style));
}

function message(role, id, ms) {
  const key = `${role}/${id}`;
  if (shown.has(key)) return shown.get(key);
  const mine = role === "user";
  const said = element("div", { className: "said" });
  const who = element("p", { className: "who" }, mine ? "You" : title, " · ", timeOf(ms));
  const row = element("li", { className: `message ${mine ? "mine" : "theirs"}` }, who, said);
  const made = { row, said, text: "", count: 0, final: false, spoken: 0, drawing: false };
  shown.set(key, made);
  const question = mine ? null : shown.get(`user/${id}`);
  if (question) question.row.after(row);
  else byId("messages").append(row);
  byId("empty").hidden = true;
  return made;
}

function mine(id, text, ms) {
  const made = message("user", id, ms);
  made.said.textContent = made.text = text;
  return made;
}

function typing(id) {
  if (shown.get(`assistant/${id}`)) return;
  const made = message("assistant", id, 0);
  made.said.append(element("span", { className: "dots" }, element("i", {}), element("i", {}), element("i", {}), element("span", { className: "unseen" }, `${title} is typing`)));
}

function delta({ id, offset, text }) {
  const made = message("assistant", id, 0);
  if (made.final) return;
  if (offset > made.count) return again(); // something between is missing: ask for all of it
  const kept = offset < made.count ? [...made.text].slice(0, offset).join("") : made.text;
  if (offset < made.spoken) made.spoken = 0;
  made.text = kept + text;
  made.count = offset + [...text].length;
  draw(made);
}

function reply({ id, text, fallback, sent_ms: ms }) {
  const made = message("assistant", id, ms);
  if (made.final) return;
  Object.assign(made, { text, count: [...text].length, final: true });
  made.row.classList.toggle("fallback", Boolean(fallback));
  draw(made);
}

function draw(made) {
  if (made.drawing) return;
  made.drawing = true;
  const work = () => {
    made.drawing = false;
    const low = isLow();
    made.said.replaceChildren(markdown(made.text));
    speak(made);
    follow(low);
  };
  if (document.hidden) work();
  else requestAnimationFrame(work);
}

// A screen reader hears whole sentences, and each once.
function speak(made) {
  const fresh = made.text.slice(made.spoken);
  const whole = made.final ? fresh : fresh.slice(0, Math.max(fresh.lastIndexOf("\n") + 1, (/^[\s\S]*[.!?…:](?=\s)/.exec(fresh) || [""])[0].length));
  if (!whole.trim() || made.silent) return;
  made.spoken += whole.length;
  const blocks = element("div", {}, markdown(whole));
  for (const one of blocks.querySelectorAll("p, li, pre, br, blockquote")) one.before(" "); // or words of two of them would be one
  const plain = blocks.textContent.trim();
  if (!plain) return;
  const place = byId("spoken");
  place.append(element("p", {}, plain));
  while (place.childElementCount > 20) place.firstElementChild.remove();
}

const room = () => byId("room");
const isLow = () => room().scrollHeight - room().scrollTop - room().clientHeight < 80;

function follow(low) {
  if (low) room().scrollTop = room().scrollHeight;
  else byId("latest").hidden = isLow();
}

// ---- What was said and has not arrived yet ----

let outbox = []; // {id, text, ms}
let storeKey = "";

function keepOutbox() {
  try {
    if (outbox.length) sessionStorage.setItem(storeKey, JSON.stringify(outbox));
    else sessionStorage.removeItem(storeKey);
  } catch {
    // a browser that keeps nothing: the page itself still does
  }
}

function loadOutbox(visitor) {
  storeKey = `junto-chat ${at} ${visitor}`;
  try {
    const kept = JSON.parse(sessionStorage.getItem(storeKey) || "[]");
    const known = new Set(outbox.map((one) => one.id));
    outbox = [...kept.filter((one) => typeof one.id === "string" && typeof one.text === "string" && !known.has(one.id)), ...outbox];
  } catch {
    // nothing was kept
  }
}

function makeId() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function say(text) {
  const one = { id: makeId(), text, ms: Date.now() };
  outbox.push(one);
  keepOutbox();
  showWaiting(one);
  room().scrollTop = room().scrollHeight;
  hand(one);
}

function showWaiting(one) {
  const made = mine(one.id, one.text, one.ms);
  made.row.classList.add("waiting");
  return made;
}

function hand(one) {
  if (!isReady) return trouble(one, "Not sent yet. It goes out as soon as there is a connection.");
  trouble(one, "");
  socket.send(JSON.stringify({ type: "message", id: one.id, text: one.text }));
}

function trouble(one, words, canRetry = false) {
  const row = shown.get(`user/${one.id}`).row;
  row.querySelector(".trouble")?.remove();
  if (!words) return;
  const line = element("p", { className: "trouble" }, words);
  if (canRetry) {
    const button = element("button", { type: "button" }, "Send again");
    button.addEventListener("click", () => {
      hand(one);
      byId("text").focus();
    });
    line.append(button);
  }
  row.append(line);
}

function accepted({ id, text, sent_ms: ms }) {
  outbox = outbox.filter((one) => one.id !== id);
  keepOutbox();
  const low = isLow();
  const made = mine(id, text, ms);
  made.row.classList.remove("waiting");
  made.row.querySelector(".trouble")?.remove();
  follow(low);
}

function failed({ id, message: words, retry_after: seconds }) {
  const one = outbox.find((each) => each.id === id);
  if (one && seconds !== undefined) {
    trouble(one, "Not sent yet: the chat is busy. It is tried again in a moment.");
    setTimeout(() => outbox.includes(one) && isReady && hand(one), Math.max(1, seconds) * 1000);
  } else if (one) {
    trouble(one, `Not sent: ${words}`, true);
  } else {
    reply({ id, text: words, fallback: true, sent_ms: 0 });
  }
}

// ---- The connection ----

let socket = null;
let isReady = false;
let isOver = false;
let tries = 0;
let last = 0; // the number of the last event
let log = ""; // whose number that is
let heard = 0;
let timer = 0;

function state(kind, words) {
  const line = byId("state");
  line.dataset.state = kind;
  if (line.textContent !== words) line.textContent = words; // unchanged text is not read out again
}

function over(code) {
  isOver = true;
  state("down", "Closed");
  byId("empty").hidden = shown.size > 0;
  byId("greeting").textContent = REFUSED[code];
  byId("empty").lastElementChild.hidden = true;
  byId("text").disabled = true;
  byId("note").textContent = REFUSED[code];
  ready();
}

async function enter() {
  clearTimeout(timer);
  if (isOver || socket) return;
  state("wait", tries ? "Connecting again …" : "Connecting …");
  let answer;
  try {
    answer = await fetch(`${at}/session`, { method: "POST", credentials: "same-origin", cache: "no-store" });
    if (answer.status in REFUSED) return over(answer.status);
    if (!answer.ok) throw new Error(answer.status);
    const { agent, visitor } = await answer.json();
    meet(agent);
    loadOutbox(visitor);
  } catch {
    return later();
  }
  open();
}

function meet(agent) {
  title = agent.title;
  document.title = `${title} · Chat`;
  byId("title").textContent = title;
  byId("role").textContent = agent.role || "";
  byId("role").hidden = !agent.role;
  byId("face").textContent = [...title][0].toUpperCase();
  byId("greeting").textContent = `Hello, this is ${title}.`;
  byId("note").textContent = `You are talking to ${title}, an AI. It can be wrong.`;
}

function open() {
  if (socket) return;
  const opened = new WebSocket(`${location.origin.replace(/^http/, "ws")}${at}`);
  socket = opened;
  heard = Date.now();
  opened.addEventListener("open", () => opened.send(JSON.stringify({ type: "resume", last_event: last, log })));
  opened.addEventListener("message", (frame) => opened === socket && take(JSON.parse(frame.data)));
  opened.addEventListener("close", (end) => {
    if (opened !== socket) return;
    socket = null;
    isReady = false;
    ready();
    if (end.code in REFUSED) over(end.code);
    else later();
  });
}

function take(event) {
  heard = Date.now();
  if (event.type === "ready") begin(event);
  else if (event.type === "accepted") accepted(event);
  else if (event.type === "typing") withLow(() => typing(event.id));
  else if (event.type === "delta") delta(event);
  else if (event.type === "reply") reply(event);
  else if (event.type === "error") failed(event);
  last = event.event;
}

function withLow(work) {
  const low = isLow();
  work();
  follow(low);
}

function begin({ log: id, resumed, messages, event }) {
  log = id;
  last = event;
  tries = 0;
  isReady = true;
  state("up", "Connected");
  if (!resumed) fill(messages);
  for (const one of outbox) {
    showWaiting(one);
    hand(one);
  }
  ready();
}

// All that is stored takes the place of what is shown; what was spoken before is not spoken again.
function fill(messages) {
  const before = new Map(shown);
  const wasLow = isLow() || !shown.size;
  shown.clear();
  byId("messages").replaceChildren();
  for (const one of messages) {
    if (one.role === "user") {
      mine(one.id, one.text, one.sent_ms);
      outbox = outbox.filter((each) => each.id !== one.id);
      continue;
    }
    const made = message("assistant", one.id, one.sent_ms);
    Object.assign(made, { text: one.text, count: [...one.text].length, final: !one.partial });
    made.spoken = before.get(`assistant/${one.id}`)?.spoken ?? (before.size || one.partial ? 0 : one.text.length);
    made.said.replaceChildren(markdown(one.text));
    if (before.size) speak(made);
  }
  keepOutbox();
  byId("empty").hidden = shown.size > 0 || outbox.length > 0;
  if (wasLow) room().scrollTop = room().scrollHeight;
}

// The connection, or what is shown, is not to be trusted: begin anew.
function again() {
  last = 0;
  log = "";
  const old = socket;
  socket = null;
  isReady = false;
  old?.close();
  later();
}

function later() {
  if (isOver) return;
  const pause = Math.min(LONGEST_PAUSE, 500 * 2 ** tries) * (0.7 + 0.6 * Math.random());
  tries += 1;
  state("down", navigator.onLine === false ? "Offline" : "No connection. Trying again …");
  clearTimeout(timer);
  timer = setTimeout(enter, pause);
}

setInterval(() => {
  if (socket && Date.now() - heard > DEAD_AFTER) {
    const old = socket;
    socket = null;
    isReady = false;
    old.close();
    later();
  }
}, 5000);
addEventListener("online", enter);
document.addEventListener("visibilitychange", () => document.hidden || enter());

// ---- Writing ----

const form = byId("form");
const box = byId("text");

function ready() {
  byId("send").setAttribute("aria-disabled", String(isOver || !box.value.trim()));
}

function fit() {
  if (CSS.supports("field-sizing", "content")) return;
  box.rows = Math.min(8, box.value.split("\n").length);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const text = box.value.trim();
  if (!text || isOver) return box.focus();
  box.value = "";
  fit();
  ready();
  say(text);
  box.focus();
});
box.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    form.requestSubmit();
  }
});
box.addEventListener("input", () => {
  fit();
  ready();
});
byId("latest").addEventListener("click", () => {
  room().scrollTop = room().scrollHeight;
  byId("latest").hidden = true;
  box.focus();
});
room().addEventListener("scroll", () => isLow() && (byId("latest").hidden = true), { passive: true });

ready();
if (matchMedia("(pointer: fine)").matches) box.focus(); // on a phone the keyboard would hide the page
enter();
