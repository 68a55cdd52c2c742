"use strict";
// What a page does while it is open: it looks again when the hub's event stream says that something has changed, and puts what is new into place
// without moving what the reader looks at, types into or has opened. Without this script every page works as well, and is as old as its last load.
(() => {
  const body = document.body;
  const patience = 400; // between two looks: the stream sets the pace, and what it tells of is on the page at once
  const longest = 15000; // ages grow also when nothing happens

  // Times are written in the reader's own zone.
  const zoned = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "medium" });
  const exact = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "long" });
  function localTimes(root) {
    for (const t of root.querySelectorAll("time[datetime]")) {
      const at = new Date(t.dateTime);
      if (t.classList.contains("at")) t.textContent = zoned.format(at);
      t.title = exact.format(at);
    }
  }

  // What scrolls sideways is reached with the keyboard.
  function scrollers() {
    for (const s of document.querySelectorAll(".scroll")) {
      if (s.scrollWidth > s.clientWidth) s.tabIndex = 0; else s.removeAttribute("tabindex");
    }
  }
  addEventListener("resize", scrollers);

  // morph makes old the same as fresh, node by node: what is the same stays, with its focus, its scroll and what was typed.
  function morph(old, fresh) {
    if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName || old.id !== fresh.id) { old.replaceWith(fresh); return; }
    if (old.nodeType !== Node.ELEMENT_NODE) { if (old.data !== fresh.data) old.data = fresh.data; return; }
    if (old.hasAttribute("data-keep") || old === document.activeElement && /^(INPUT|TEXTAREA|SELECT)$/.test(old.nodeName)) return;
    for (const a of [...old.attributes]) if (!fresh.hasAttribute(a.name) && !(old.nodeName === "DETAILS" && a.name === "open" || a.name === "tabindex" && old.className === "scroll")) old.removeAttribute(a.name);
    for (const a of fresh.attributes) if (old.getAttribute(a.name) !== a.value) old.setAttribute(a.name, a.value);
    const rows = new Map([...old.children].filter((c) => c.id).map((c) => [c.id, c]));
    let at = old.firstChild;
    for (const next of [...fresh.childNodes]) {
      const known = next.id && rows.get(next.id);
      if (known && known !== at) { old.insertBefore(known, at); at = known; }
      if (!at) { old.append(next); continue; }
      if (!known && next.id || !next.id && at.id) { old.insertBefore(next, at); continue; }
      const after = at.nextSibling;
      morph(at, next);
      at = after;
    }
    while (at) { const after = at.nextSibling; at.remove(); at = after; }
  }

  let looking = false, again = false, last = 0, timer = 0;
  function look() {
    if (document.hidden || looking) { again = true; return; }
    looking = true; again = false; last = Date.now();
    const ask = new XMLHttpRequest();
    ask.open("GET", location.pathname + location.search);
    ask.setRequestHeader("Waybill-Part", "main"); // without what stands around it, and without what is the reader's own
    ask.responseType = "document"; // parsed by the browser: the page makes no markup out of texts
    ask.onload = () => {
      const fresh = ask.response;
      if (ask.status === 401) { location.reload(); return; } // the session is over
      if (fresh && fresh.getElementById("main")) {
        localTimes(fresh);
        const own = ask.getResponseHeader("Waybill-CSRF") || "";
        for (const field of fresh.querySelectorAll("input[name=csrf]")) field.setAttribute("value", own);
        for (const id of ["main", "rendered"]) morph(document.getElementById(id), document.adoptNode(fresh.getElementById(id)));
        scrollers();
      }
    };
    ask.onloadend = () => { looking = false; if (again) soon(); };
    ask.send();
  }
  function soon() {
    if (timer) return;
    timer = setTimeout(() => { timer = 0; look(); }, Math.max(0, last + patience - Date.now()));
  }

  function listen() {
    const sign = document.getElementById("live");
    const say = (key) => {
      sign.hidden = false;
      sign.className = "live " + key;
      if (sign.textContent !== body.dataset[key]) sign.textContent = body.dataset[key];
    };
    let wait = 1000;
    const begin = () => {
      const stream = new EventSource("/api/v1/events");
      stream.onopen = () => { wait = 1000; say("fresh"); };
      stream.addEventListener("pulse", () => { say("fresh"); soon(); }); // the first one, too: something may have come since the page was made
      stream.addEventListener("trouble", () => { say("stale"); soon(); });
      stream.onerror = () => {
        say("stale");
        if (stream.readyState === EventSource.CLOSED) { setTimeout(begin, wait); wait = Math.min(wait * 2, 30000); look(); }
      };
    };
    begin();
    setInterval(() => { if (Date.now() - last > longest) look(); }, 5000);
    document.addEventListener("visibilitychange", () => { if (!document.hidden && again) soon(); });
  }

  // A document that is edited is checked as it is typed: what a replay would come to is put beside it.
  function checked(form) {
    const text = form.querySelector("textarea");
    let pause = 0, under = null;
    text.addEventListener("input", () => {
      clearTimeout(pause);
      pause = setTimeout(() => {
        if (under) under.abort();
        under = new XMLHttpRequest();
        under.open("POST", form.action);
        under.setRequestHeader("Content-Type", "application/x-www-form-urlencoded");
        under.responseType = "document";
        const fields = new URLSearchParams(new FormData(form));
        fields.set("act", "check");
        const ask = under;
        ask.onload = () => {
          const fresh = ask.response && ask.response.getElementById("check");
          if (fresh) morph(document.getElementById("check"), document.adoptNode(fresh));
        };
        ask.send(fields);
      }, 500);
    });
  }
  for (const form of document.querySelectorAll("form[data-check]")) checked(form);

  localTimes(document);
  scrollers();
  last = Date.now();
  if ("live" in body.dataset) listen();
})();
