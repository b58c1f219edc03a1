// Fills the front page from /health and /v1/models. Names come from backends and are not trusted: all is set as text,
// and only a plain name gets into a line that is meant for a shell.
"use strict";

const FEW = 12; // models that need no filter
const PLAIN_NAME = /^[\w][\w.:\/-]{0,99}$/;
const byId = (id) => document.getElementById(id);

function element(tag, properties, ...children) {
  const { data, role, ...rest } = properties;
  const made = Object.assign(document.createElement(tag), rest);
  if (role) made.setAttribute("role", role);
  Object.assign(made.dataset, data);
  made.append(...children); // strings become text nodes
  return made;
}

function say(node, text) {
  node.hidden = !text;
  if (node.textContent !== text) node.textContent = text; // unchanged text is not read out again
}

let model = "fast"; // in the snippets
let keyed = false; // whether callers need a key
let models = [];
let last = "";

const SNIPPETS = {
  curl: () => [
    `curl ${location.origin}/v1/chat/completions \\`,
    ...(keyed ? ['  -H "authorization: Bearer $JUNTO_API_KEY" \\'] : []),
    "  -H 'content-type: application/json' \\",
    `  -d '{"model": "${model}", "messages":`,
    `    [{"role": "user", "content": "Say hello."}]}'`,
  ],
  "OpenAI SDK": () => [
    ...(keyed ? ["import os"] : []),
    "from openai import OpenAI",
    "",
    "client = OpenAI(",
    `    base_url="${location.origin}/v1",`,
    `    api_key=${keyed ? 'os.environ["JUNTO_API_KEY"]' : '"none"'},`,
    ")",
    "answer = client.chat.completions.create(",
    `    model="${model}",`,
    '    messages=[{"role": "user",',
    '               "content": "Say hello."}],',
    ")",
    "print(answer.choices[0].message.content)",
  ],
  Ollama: () =>
    keyed
      ? ["# The ollama command sends no key; its SDK does:", 'Client(headers={"authorization": "Bearer ..."})']
      : [`OLLAMA_HOST=${location.origin} ollama run ${model}`],
};

function makeSnippets() {
  for (const name of Object.keys(SNIPPETS)) {
    const code = element("code", {});
    const block = element("pre", { tabIndex: 0, ariaLabel: `${name} example` }, code);
    const button = element("button", { type: "button", ariaLabel: `Copy the ${name} example` }, "Copy");
    button.addEventListener("click", () => copy(name, code));
    byId("snippets").append(
      element("div", { className: "snippet", data: { name } }, element("div", {}, element("h3", {}, name), button), block),
    );
  }
  fillSnippets();
}

function fillSnippets() {
  for (const card of byId("snippets").children) {
    const text = SNIPPETS[card.dataset.name]().join("\n");
    const code = card.querySelector("code");
    if (code.textContent !== text) code.textContent = text;
  }
}

async function copy(name, code) {
  try {
    await navigator.clipboard.writeText(code.textContent);
    byId("copied").textContent = `The ${name} example is copied.`;
  } catch {
    getSelection().selectAllChildren(code); // browsers give the clipboard to https and localhost only
    byId("copied").textContent = `The ${name} example is selected: now copy it.`;
  }
}

function showHealth(health) {
  const up = health.backends.filter((backend) => backend.status === "up").length;
  const fine = health.status === "ok";
  byId("status").dataset.state = fine ? "up" : "wait";
  say(byId("status"), fine ? `Ready, ${up} of ${health.backends.length} backends up` : reason(health, up));
  byId("version").textContent = `Junto ${health.version} (${health.git_sha.slice(0, 12)})`;
  byId("backends").replaceChildren(
    ...health.backends.map(({ name, status, models }) =>
      element("li", { data: { state: status } }, name, " ", element("span", {}, status === "up" ? `up, ${models} model${models === 1 ? "" : "s"}` : status)),
    ),
  );
  say(byId("backends-note"), health.backends.length ? "" : "None yet: start Ollama, or name one in junto.yaml.");
}

function reason({ database, queue }, up) {
  if (database !== "ok") return "Degraded: no database";
  if (queue === "full") return "Degraded: the journal is full";
  return up ? "Degraded: no Redis" : "Degraded: no backend answers";
}

function showAway() {
  byId("status").dataset.state = "down";
  say(byId("status"), "Does not answer");
}

function showModels(listed) {
  models = listed;
  byId("filter-label").hidden = models.length <= FEW;
  const able = models.map((one) => one.id).filter((id) => PLAIN_NAME.test(id));
  model = able.includes("fast") ? "fast" : (able[0] ?? "fast");
  fillSnippets();
  fillRows();
}

function fillRows() {
  const wanted = byId("filter").value.trim().toLowerCase();
  const shown = models.filter((one) => one.id.toLowerCase().includes(wanted));
  byId("model-rows").replaceChildren(...shown.map(row));
  byId("models").hidden = !shown.length;
  say(byId("models-note"), shown.length ? "" : models.length ? "No name contains that." : "None yet.");
}

function row(one) {
  const { kind = "model", locality = [], context_length: context, prices = {} } = one.junto ?? {};
  const places = locality.length ? locality : ["nowhere now"];
  const badges = places.map((place) =>
    element("span", { className: `badge ${{ local: "local", cloud: "cloud" }[place] ?? "none"}` }, place),
  );
  const cell = (properties, ...children) => element("td", { role: "cell", ...properties }, ...children);
  return element(
    "tr",
    { role: "row" },
    cell({}, one.id),
    cell({}, kind),
    cell({}, ...badges),
    cell({ className: "number", data: { label: "context" } }, size(context)),
    cell({ className: "number", data: { label: "$ / Mtok" } }, price(prices, locality)),
  );
}

function size(tokens) {
  if (!tokens) return "–";
  return tokens >= 1e6 ? `${+(tokens / 1e6).toFixed(1)}M` : tokens >= 1000 ? `${Math.round(tokens / 1000)}k` : `${tokens}`;
}

function price(prices, locality) {
  const [into, out] = [Number(prices.input_usd_per_mtok), Number(prices.output_usd_per_mtok)];
  if (into || out) return `${dollars(into)} / ${dollars(out)}`;
  return locality.includes("cloud") || !locality.length ? "–" : "free";
}

const dollars = (amount) => amount.toFixed(Math.max(2, `${amount}`.split(".")[1]?.length ?? 0));

function showLocked() {
  keyed = true;
  byId("models").hidden = byId("filter-label").hidden = true;
  say(byId("models-note"), "This Junto asks for an API key: with yours, /v1/models lists what you may use.");
  fillSnippets();
}

async function refresh() {
  try {
    showHealth(await (await fetch("/health", { cache: "no-store" })).json());
  } catch {
    return showAway();
  }
  if (keyed) return;
  try {
    const answer = await fetch("/v1/models", { cache: "no-store", credentials: "omit" });
    if (answer.status === 401 || answer.status === 403) return showLocked();
    const text = await answer.text();
    if (answer.ok && text !== last) showModels(JSON.parse((last = text)).data);
  } catch {
    say(byId("models-note"), "The list of models could not be read.");
  }
}

makeSnippets();
byId("filter").addEventListener("input", fillRows);
document.addEventListener("visibilitychange", () => document.hidden || refresh());
setInterval(() => document.hidden || refresh(), 15000);
refresh();
