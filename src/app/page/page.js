"use strict";
// The status page draws itself from /overview.json. Every text from there may be hostile: it only ever becomes the text of
// a node or the value of an attribute that holds text, never markup (and the page's policy would refuse that).

const GROUPS = [
  ["done", "done", ["imported", "unchanged", "deleted"]],
  ["refused", "refused or cancelled", ["rejected", "superseded", "cancelled"]],
  ["bad", "invalid or failed", ["invalid", "failed"]],
];
const VERDICTS = {healthy: "good", expiring: "warn"}; // all others need a person
const STATES = {running: "good", paused: "warn", starting: "warn", draining: "warn", dead: "bad"};
const QUEUE = [["waiting", "waiting"], ["retrying", "to be tried again"], ["scheduled", "scheduled"],
               ["dispatched", "handed out"], ["running", "running"]];
const ASK_MS = 2000, ASK_MAX_MS = 15000;
const view = {minutes: [], sums: {}, cursor: -1, isHeld: false, failures: 0, timer: 0, at: 0};

// Controls, and characters that turn the direction of writing: they could make a text look like another one.
const STEERING = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
const plain = (text) => String(text).replace(STEERING, "\ufffd");

const find = (id) => document.getElementById(id);
const list = (value) => Array.isArray(value) ? value : [];
const known = (value) => typeof value === "number" && value >= 0;

function make(tag, name, text) {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (text !== undefined && text !== null) node.textContent = plain(text);
  return node;
}

function draw(tag, attributes) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const name of Object.keys(attributes)) node.setAttribute(name, attributes[name]);
  return node;
}

// ---- amounts, as the commands print them ----

function span(ms) {
  if (!known(ms)) return "?";
  if (ms < 100) return Math.floor(ms) + " ms";
  if (ms < 10000) return (Math.floor(ms / 100) / 10).toFixed(1) + " s";
  const s = Math.floor(ms / 1000), m = Math.floor(s / 60), h = Math.floor(m / 60);
  const two = (n) => String(n).padStart(2, "0");
  if (s < 60) return s + " s";
  if (m < 60) return m + "m " + two(s % 60) + "s";
  return h < 48 ? h + "h " + two(m % 60) + "m" : Math.floor(h / 24) + "d " + two(h % 24) + "h";
}

function count(number) {
  return known(number) ? number.toLocaleString("en") : "?";
}

function plural(number, one, many) {
  return count(number) + " " + (number === 1 ? one : many);
}

// ---- the parts ----

function figure(name, value, unit, mood) {
  const box = make("div", mood), dd = make("dd", "", value);
  if (unit) dd.append(make("small", "", unit));
  box.append(make("dt", "", name), dd);
  return box;
}

function showFigures(data, sums) {
  const queue = data.queue || {}, workers = list(data.workers).filter((w) => w.state !== "dead"), leases = list(data.leases);
  const open = queue.waiting + queue.retrying + queue.scheduled + queue.dispatched + queue.running;
  const slots = workers.reduce((sum, w) => sum + (known(w.slots) ? w.slots : 0), 0);
  const busy = workers.reduce((sum, w) => sum + (known(w.running) ? w.running : 0), 0);
  const trouble = leases.filter((lease) => lease.needs_person).length;
  const oldest = data.queue ? (queue.oldest_due_ms > 0 ? span(queue.oldest_due_ms) : "none") : "?";
  find("figures").replaceChildren(
    figure("open jobs", data.queue ? count(open) : "?"),
    figure("oldest that is due", oldest, "", queue.oldest_due_ms > 300000 ? "warn" : ""),
    figure("slots busy", data.workers ? count(busy) : "?", data.workers ? "of " + count(slots) : ""),
    figure("done, last hour", data.minutes ? count(sums.done) : "?"),
    figure("failed, last hour", data.minutes ? count(sums.bad) : "?", "", sums.bad > 0 ? "bad" : ""),
    figure("leases", data.leases ? count(data.lease_count) : "?", trouble ? trouble + (trouble === 1 ? " needs you" : " need you") : "", trouble ? "bad" : ""));
  return {open, trouble};
}

function addUp(rows) {
  const minutes = Array.from({length: 60}, () => ({done: 0, refused: 0, bad: 0}));
  const sums = {done: 0, refused: 0, bad: 0};
  for (const row of rows) {
    const group = GROUPS.find((g) => g[2].includes(row.outcome));
    if (!group || !(row.minute >= 0 && row.minute < 60)) continue;
    minutes[59 - row.minute][group[0]] += row.jobs;
    sums[group[0]] += row.jobs;
  }
  return {minutes, sums};
}

// A round number, at least top.
function roundUp(top) {
  const power = 10 ** Math.floor(Math.log10(Math.max(top, 1)));
  return [1, 2, 3, 4, 6, 8, 10].map((n) => n * power).find((n) => n >= top);
}

function showHour() {
  const top = Math.max(2, roundUp(Math.max(...view.minutes.map((m) => m.done + m.refused + m.bad))));
  const parts = [0, 80, 160].map((y) => draw("line", {class: "grid", x1: 0, x2: 720, y1: y, y2: y}));
  view.minutes.forEach((minute, i) => {
    let y = 160;
    if (i === view.cursor) parts.push(draw("rect", {class: "cursor", x: i * 12, y: 0, width: 12, height: 160}));
    for (const [name] of GROUPS) {
      const height = minute[name] / top * 160;
      y -= height;
      if (height > 0) parts.push(draw("rect", {class: "f-" + name, x: i * 12 + 1.5, y, width: 9, height}));
    }
  });
  find("hour").replaceChildren(...parts);
  find("top").textContent = count(top);
  find("middle").textContent = count(top / 2);
  showLegend();
}

// What the colours mean, with the numbers of the minute under the cursor, or of the whole hour.
function showLegend() {
  const ago = 59 - view.cursor, sums = view.minutes[view.cursor] || view.sums;
  const when = view.cursor < 0 ? "60 minutes" : ago === 0 ? "this minute" : plural(ago, "minute", "minutes") + " ago";
  find("legend").replaceChildren(make("li", "when", when), ...GROUPS.map(([name, words]) => {
    const item = make("li");
    item.append(make("span", "swatch " + name), make("b", "", count(sums[name])), make("span", "", words));
    return item;
  }));
}

function showRate() {
  const last = view.minutes.slice(-6, -1).reduce((sum, m) => sum + m.done + m.refused + m.bad, 0) / 5;
  find("hour-aside").textContent = (last < 10 ? last.toFixed(1) : count(Math.round(last))) + " jobs a minute, of the last 5 minutes";
}

function bar(from, to, top) {
  const svg = draw("svg", {viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true"});
  const width = (n) => top > 0 ? Math.min(100, n / top * 100) : 0;
  svg.append(draw("rect", {class: "track", width: 100, height: 10, rx: 1}),
             draw("rect", {class: "range", width: width(to), height: 10, rx: 1}),
             draw("rect", {class: "f-done", width: width(from), height: 10, rx: 1}));
  return svg;
}

function showRows(place, rows, empty) {
  if (rows.length === 0) {
    place.replaceChildren(make("p", "empty", empty));
    return;
  }
  const grid = make("div", "rows");
  for (const [name, drawing, value] of rows) grid.append(make("span", "name", name), drawing, make("span", "value", value));
  place.replaceChildren(grid);
}

function showQueue(queue) {
  const numbers = queue ? QUEUE.map(([name]) => queue[name]) : [];
  const top = Math.max(1, ...numbers);
  showRows(find("queue"), numbers.map((n, i) => [QUEUE[i][1], bar(n, n, top), count(n)]), "Not known: see above.");
  find("queue-aside").textContent = queue && queue.paused ? "paused: jobs wait until 'fenceline jobs resume'" : "";
}

function showPhases(phases) {
  const rows = list(phases).filter((p) => p.jobs > 0);
  const top = Math.max(1, ...rows.map((p) => p.p99_ms));
  showRows(find("phases"), rows.map((p) => [p.phase, bar(p.p50_ms, p.p99_ms, top), span(p.p50_ms) + " – " + span(p.p99_ms)]),
           phases ? "No job was decided within the last hour." : "Not known: see above.");
}

// columns: [name, class, function that gives a node or a text]
function showTable(place, columns, rows, empty) {
  if (rows.length === 0) {
    place.replaceChildren(make("p", "empty", empty));
    return;
  }
  const table = make("table"), head = make("tr"), body = make("tbody"), thead = make("thead");
  for (const [name, kind] of columns) {
    const th = make("th", kind.includes("number") ? "number" : "", name);
    th.scope = "col";
    head.append(th);
  }
  for (const row of rows) {
    const tr = make("tr");
    for (const [name, kind, value] of columns) {
      const td = make("td", kind), content = value(row);
      td.dataset.label = name;
      if (content instanceof Node) td.append(content);
      else td.append(make("span", "text", content));
      tr.append(td);
    }
    body.append(tr);
  }
  thead.append(head);
  table.append(thead, body);
  place.replaceChildren(table);
}

function withSub(text, sub) {
  const box = make("span", "text", text);
  box.dir = "auto";
  if (sub) box.append(make("span", "sub", sub));
  return box;
}

function chip(text, mood) {
  return make("span", "chip " + (mood || ""), text === null || text === undefined ? "?" : text);
}

function verdict(lease) {
  const box = make("span", "text");
  box.append(chip(lease.verdict, VERDICTS[lease.verdict] || "bad"));
  if (lease.needs_person) box.append(make("span", "sub", lease.advice));
  return box;
}

const LEASES = [
  ["episode", "lead", (l) => withSub(l.episode, [l.kind, l.job > 0 ? "job " + l.job : ""].filter(Boolean).join(", "))],
  ["verdict", "", verdict],
  ["holder", "", (l) => withSub(l.holder || "?", l.phase ? "phase " + l.phase : "")],
  ["held for", "number", (l) => span(l.held_ms)],
  ["time left", "number", (l) => l.left_ms >= 0 ? span(l.left_ms) : "no lease"],
  ["token / fence", "number", (l) => count(l.token) + " / " + count(l.fence)],
  ["waiting", "number", (l) => count(l.waiters)],
];
const WORKERS = [
  ["worker", "lead", (w) => withSub(w.worker, "version " + (w.version || "?"))],
  ["state", "", (w) => chip(w.state, STATES[w.state])],
  ["running", "number", (w) => count(w.running) + (known(w.slots) ? " of " + count(w.slots) : "")],
  ["parked", "number", (w) => count(w.parked)],
  ["last heartbeat", "number", (w) => span(Math.max(0, w.beat_ms)) + " ago"],
  ["since", "number", (w) => w.started ? String(w.started).replace("T", " ").replace("Z", "") : "?"],
];
const FAILURES = [
  ["episode", "lead", (f) => withSub(f.episode, f.kind + ", job " + f.job)],
  ["outcome", "", (f) => chip(f.outcome, "bad")],
  ["why", "long", (f) => { const box = withSub(f.message || "not told"); box.title = plain(f.message || ""); return box; }],
  ["attempts", "number", (f) => count(f.attempts)],
  ["when", "number", (f) => span(f.age_ms) + " ago"],
];

function cut(shown, all) {
  return known(all) && all > shown ? "the first " + count(shown) + " of " + count(all) : "";
}

function show(data) {
  const {minutes, sums} = addUp(list(data.minutes));
  view.minutes = minutes;
  view.sums = sums;
  const {open, trouble} = showFigures(data, sums);
  showHour();
  showRate();
  showQueue(data.queue);
  showPhases(data.phases);
  showTable(find("leases"), LEASES, list(data.leases), data.leases ? "No episode is held." : "Not known: see above.");
  find("leases-aside").textContent = cut(list(data.leases).length, data.lease_count);
  showTable(find("workers"), WORKERS, list(data.workers), data.workers ? "Nobody works." : "Not known: see above.");
  find("workers-aside").textContent = cut(list(data.workers).length, data.worker_count);
  showTable(find("failures"), FAILURES, list(data.failures), data.failures ? "Nothing has failed lately." : "Not known: see above.");
  find("failures-aside").textContent = list(data.failures).length ? "new attempts: fenceline jobs retry JOB" : "";
  find("problems").replaceChildren(...list(data.problems).map((text) => make("p", "note bad", text)));
  find("teller").textContent = "told by worker " + data.worker + ", version " + data.version;
  const paused = Boolean(data.queue && data.queue.paused);
  find("state").hidden = !paused;
  find("state").className = "chip warn";
  find("state").textContent = "paused";
  document.title = (trouble ? "(!) " : "") + "fenceline" + (known(open) ? " · " + plural(open, "open job", "open jobs") : "");
}

// ---- asking ----

function setFresh(text, dot) {
  if (find("fresh").textContent !== text) find("fresh").textContent = text;
  find("dot").className = "dot " + dot;
  document.body.classList.toggle("stale", dot === "off");
}

async function ask() {
  clearTimeout(view.timer);
  try {
    const reply = await fetch("/overview.json", {cache: "no-store", signal: AbortSignal.timeout(15000)});
    if (!reply.ok) throw new Error("status " + reply.status);
    show(await reply.json());
    view.failures = 0;
    view.at = Date.now();
    setFresh("live", "on");
  } catch (error) {
    view.failures++;
    setFresh(view.at ? "no answer since " + new Date(view.at).toLocaleTimeString() : "no answer", "off");
  }
  if (!view.isHeld && !document.hidden) view.timer = setTimeout(ask, Math.min(ASK_MAX_MS, ASK_MS * 2 ** Math.min(view.failures, 4)));
}

function hold() {
  view.isHeld = !view.isHeld;
  find("hold").setAttribute("aria-pressed", String(view.isHeld));
  find("hold").textContent = view.isHeld ? "Resume" : "Pause";
  clearTimeout(view.timer);
  if (view.isHeld) setFresh("paused at " + new Date().toLocaleTimeString(), "");
  else ask();
}

function moveCursor(event) {
  const step = {ArrowLeft: -1, ArrowRight: 1, Home: -60, End: 60}[event.key];
  if (event.key === "Escape") view.cursor = -1;
  else if (!step) return;
  else view.cursor = Math.min(59, Math.max(0, (view.cursor < 0 ? 59 : view.cursor + step)));
  event.preventDefault();
  if (view.minutes.length) showHour();
}

function point(event) {
  const box = find("hour").getBoundingClientRect();
  const at = Math.floor((event.clientX - box.left) / box.width * 60);
  view.cursor = Math.min(59, Math.max(0, at));
  if (view.minutes.length) showHour();
}

find("hold").addEventListener("click", hold);
find("hour").addEventListener("keydown", moveCursor);
find("hour").addEventListener("pointermove", point);
find("hour").addEventListener("pointerleave", () => { view.cursor = -1; if (view.minutes.length) showHour(); });
document.addEventListener("visibilitychange", () => { if (!document.hidden && !view.isHeld) ask(); });
ask();
