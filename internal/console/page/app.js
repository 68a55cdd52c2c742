"use strict";
const $ = (id) => document.getElementById(id);
const number = new Intl.NumberFormat("en");

// el makes an element; text is always set as text, so no document can bring markup into the page.
function el(tag, text, cls) {
  const e = document.createElement(tag);
  if (text !== undefined && text !== null) e.textContent = text;
  if (cls) e.className = cls;
  return e;
}

function row(cells) {
  const tr = el("tr");
  for (const c of cells) tr.append(c instanceof Node ? c : el("td", c));
  return tr;
}

const n = (v) => el("td", number.format(v || 0), "n");

function age(seconds) {
  if (!seconds) return "";
  if (seconds < 120) return Math.round(seconds) + " s";
  if (seconds < 7200) return Math.round(seconds / 60) + " min";
  return Math.round(seconds / 3600) + " h";
}

// onTime is the share of deliveries in time in the last hour and day, in percent and rounded down: 100 is all.
function onTime(t) {
  const share = (d) => d.share === undefined ? "–" : Math.floor(d.share * 1000) / 10;
  return t.day.share === undefined ? "" : share(t.hour) + " / " + share(t.day);
}

const tone = { running: "good", up: "good", attention: "warn", paused: "warn", silent: "warn" };

async function ask(method, path, body) {
  // The origin, and not the page's own address: that may hold a token, and is refused then.
  const r = await fetch(location.origin + path, { method, headers: body ? { "Content-Type": "application/json" } : {}, body: body && JSON.stringify(body) });
  const data = await r.json().catch(() => ({}));
  if (!r.ok) throw new Error(data.detail || r.statusText);
  return data;
}

function act(label, run) {
  const b = el("button", label);
  b.type = "button";
  b.addEventListener("click", async () => {
    b.disabled = true;
    try { await run(); await refresh(); } catch (e) { alert(e.message); }
    b.disabled = false;
  });
  return b;
}

function showStatus(s) {
  const t = s.totals;
  const troubled = s.flows.filter((f) => !["running", "attention", "paused", "silent"].includes(f.state));
  const v = $("verdict");
  if (t.unaccounted) { v.textContent = number.format(t.unaccounted) + " messages are unaccounted for"; v.className = "bad"; }
  else if (t.duplicates) { v.textContent = number.format(t.duplicates) + " target objects are doubled"; v.className = "bad"; }
  else if (s.hub.state === "failing") { v.textContent = "The hub is failing: " + s.hub.why; v.className = "bad"; }
  else if (s.broker.state === "down") { v.textContent = s.broker.why; v.className = "bad"; }
  else if (troubled.length) { v.textContent = troubled.map((f) => f.name + " is " + f.state).join(", "); v.className = "bad"; }
  else if (s.hub.why) { v.textContent = s.hub.why; v.className = "warn"; }
  else if (t.parked) { v.textContent = "Nothing lost, nothing doubled; " + number.format(t.parked) + " messages wait for a person"; v.className = "warn"; }
  else { v.textContent = "All is well: nothing lost, nothing doubled"; v.className = "good"; }
  $("totals").replaceChildren(...["accepted", "delivered", "skipped", "parked", "waiting", "discarded", "in_flight", "retried", "unaccounted", "duplicates"].map((k) => {
    const d = el("div");
    d.append(el("dt", k.replace("_", " ")), el("dd", number.format(t[k]), (k === "unaccounted" || k === "duplicates") && t[k] ? "bad" : ""));
    return d;
  }));
  $("flows").tBodies[0].replaceChildren(...s.flows.map((f) => {
    const state = el("td", f.state + (f.why ? ": " + f.why : ""), tone[f.state] || "bad");
    for (const m of f.remarks || []) state.append(el("div", m.text, "warn"));
    if (f.sweep && f.sweep.text && f.sweep.state !== "held") state.append(el("div", "swept, " + f.sweep.state + ": " + f.sweep.text, f.sweep.state === "ok" ? "" : "warn"));
    const last = el("td");
    last.append(f.paused || f.state === "alarm"
      ? act("Resume", () => ask("POST", "/api/v1/flows/" + encodeURIComponent(f.name) + "/resume"))
      : act("Pause", () => ask("POST", "/api/v1/flows/" + encodeURIComponent(f.name) + "/pause")));
    return row([f.name, state, f.from + " → " + f.to, n(f.accepted), n(f.delivered), n(f.skipped), n(f.parked), n(f.waiting), n(f.in_flight), el("td", age(f.oldest_seconds), "n"), el("td", onTime(f.on_time), "n"), last]);
  }));
  $("systems").tBodies[0].replaceChildren(...s.systems.map((y) => row([y.name, y.connector, el("td", y.state, tone[y.state] || "bad"), y.why || ""])));
  $("version").textContent = "Waybill " + s.version + ", running since " + new Date(s.started).toLocaleString();
}

// notes are what concerns no single flow or system, and what is tried again.
function notes(s) {
  const out = (s.broker.remarks || []).slice();
  const r = s.restored, a = s.access || {}, when = (t) => new Date(t).toLocaleString();
  if (r) out.push("The store went back to an older state (" + r.why + "): " + number.format(r.looked_up) + " looked up before they were created, " + number.format(r.found) + " of them were there, " +
    number.format(r.parked) + " parked because nobody can tell; " + (r.ended ? "settled " + when(r.ended) + " by " + r.ended_by : [r.state + " since " + when(r.since)].concat(r.waits).join("; ")) + (r.lost ? ". Lost: " + r.lost : ""));
  if (a.wrong_tokens) out.push(number.format(a.wrong_tokens) + (a.wrong_tokens === 1 ? " wrong token" : " wrong tokens") + " since the start, last at " + when(a.last_wrong) + " from " + a.last_wrong_from);
  for (const c of a.certificates || []) if (c.why) out.push(c.listener + ".tls: " + c.file + ": " + c.why);
  for (const t of s.troubles || []) if (t.what === "retry") out.push(t.flow + ": tried again since " + when(t.since) + ", " + number.format(t.count) + " times so far, the last at " + when(t.last) + ", for " + t.cause + ": " + t.text);
  return out;
}

function showNotes(s) {
  const refused = s.refused || [], list = notes(s);
  $("door").hidden = !refused.length;
  $("refused").tBodies[0].replaceChildren(...refused.map((r) => row([r.flow || "(unknown paths)", el("td", r.reason, "warn"), n(r.last_hour), n(r.count), new Date(r.last).toLocaleString(), el("td", r.detail, "reason")])));
  $("notes").hidden = !list.length;
  $("notes").querySelector("ul").replaceChildren(...list.map((t) => el("li", t)));
}

function showParked(rows) {
  $("noparked").hidden = rows.length > 0;
  $("parked").hidden = rows.length === 0;
  $("parked").tBodies[0].replaceChildren(...rows.map((p) => {
    const acts = el("td");
    if (p.mark) acts.append(p.mark + " asked by " + (p.marked_by || "the hub"));
    else acts.append(act("Replay", () => ask("POST", "/api/v1/parked/" + p.id + "/replay", { note: "" })), " ",
      act("Discard", () => {
        const why = prompt("Why is it given up? The reason is kept with the message.");
        return !why || !why.trim() ? Promise.resolve() : ask("POST", "/api/v1/parked/" + p.id + "/discard", { note: why });
      }));
    return row([p.id, p.flow, p.key, el("td", p.state + (p.behind ? ", " + number.format(p.behind) + " behind" : ""), "warn"), new Date(p.since).toLocaleString(), el("td", p.reason, "reason"), acts]);
  }));
}

function table(title, head, rows) {
  if (!rows.length) return [];
  const t = el("table"), h = el("tr");
  for (const c of head) h.append(el("th", c));
  const thead = el("thead"), body = el("tbody");
  thead.append(h);
  body.append(...rows);
  t.append(thead, body);
  return [el("h2", title), t];
}

async function trace(key) {
  const box = $("result");
  box.hidden = false;
  try {
    const m = await ask("GET", "/api/v1/messages?key=" + encodeURIComponent(key));
    const parts = [
      ...table("Objects", ["entity", "hub id", "ids"], m.objects.map((o) => row([o.entity, o.hub, o.refs.map((r) => r.system + ": " + r.id + (r.deleted ? " (deleted)" : "")).join(", ")]))),
      ...table("Stored queue", ["id", "flow", "state", "reason"], m.queued.map((q) => row([q.id, q.flow, q.state, el("td", q.reason, "reason")]))),
      ...table("Journal", ["time", "flow", "outcome", "reason", "system", "id", "version"], m.journal.map((j) => row([new Date(j.time).toLocaleString(), j.flow, j.outcome, el("td", j.reason, "reason"), j.system, j.id, j.version]))),
      ...table("Inbox", ["seq", "flow", "received", "published"], m.inbox.map((i) => row([i.seq, i.flow, new Date(i.received).toLocaleString(), String(i.published)]))),
    ];
    box.replaceChildren(...(parts.length ? parts : [el("p", "The hub remembers nothing under " + key + ".")]));
  } catch (e) { box.replaceChildren(el("p", e.message, "bad")); }
}

$("search").addEventListener("submit", (e) => { e.preventDefault(); const k = $("key").value.trim(); if (k) trace(k); });

async function refresh() {
  try {
    const s = await ask("GET", "/api/v1/status");
    showStatus(s);
    showNotes(s);
    showParked((await ask("GET", "/api/v1/parked?heads=true&limit=100")).parked);
  } catch (e) { $("verdict").textContent = "The hub does not answer: " + e.message; $("verdict").className = "bad"; }
}

async function loop() { await refresh(); setTimeout(loop, 2000); }
loop();
