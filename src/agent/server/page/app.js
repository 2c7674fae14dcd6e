// The status page: it reads JSON from this agent, draws it, and draws it anew when an event says that something changed.
"use strict";
(() => {
  const STATES = ["failed", "drifted", "waiting", "pending", "unknown", "synced"];
  // Each state has a shape of its own, so that nobody has to tell colours apart.
  const SHAPES = {
    synced: "M2.5 8.5l3.5 3.5 7.5-8",
    pending: "M8 2.5v8M4.5 7.5L8 11l3.5-3.5M3 13.5h10",
    drifted: "M2 10c2-6 4-6 6-2s4 4 6-2",
    waiting: "M4 2h8M4 14h8M5 2c0 4 6 4 6 6s-6 2-6 6",
    failed: "M3.5 3.5l9 9M12.5 3.5l-9 9",
    unknown: "M5.5 6c0-4 5.5-4 5.5-.5 0 2.3-3 2.3-3 4.5M8 13v.4",
  };
  const PAGE = 200;
  const main = document.getElementById("main");
  let drawn = null;

  // Makes an element; texts are always texts.
  function el(tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (value === true) node.setAttribute(name, "");
      else node.setAttribute(name, value);
    }
    for (const child of children.flat(Infinity)) {
      if (child !== null && child !== undefined && child !== false) node.append(child);
    }
    return node;
  }

  function shape(state) {
    const ns = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(ns, "svg");
    svg.setAttribute("viewBox", "0 0 16 16");
    svg.setAttribute("aria-hidden", "true");
    const path = document.createElementNS(ns, "path");
    path.setAttribute("d", SHAPES[state] || SHAPES.unknown);
    path.setAttribute("fill", "none");
    path.setAttribute("stroke", "currentColor");
    path.setAttribute("stroke-width", "2.2");
    path.setAttribute("stroke-linecap", "round");
    path.setAttribute("stroke-linejoin", "round");
    svg.append(path);
    return svg;
  }

  const badge = (state, word) => el("span", { class: `state is-${state}` }, shape(state), word || state);
  const short = (commit) => (commit || "").slice(0, 12);
  const code = (text) => el("code", {}, text);

  function span(seconds) {
    const units = [[86400, "d"], [3600, "h"], [60, "min"]];
    for (const [size, unit] of units) if (seconds >= size) return `${Math.floor(seconds / size)} ${unit}`;
    return `${Math.max(0, Math.floor(seconds))} s`;
  }

  function when(at, now) {
    if (!at) return "never";
    const iso = new Date(at * 1000).toISOString();
    const words = at <= now ? `${span(now - at)} ago` : `in ${span(at - now)}`;
    return el("time", { datetime: iso, title: iso }, words);
  }

  const plural = (count, one, more) => `${count} ${count === 1 ? one : more}`;

  async function read(path, kind) {
    const answer = await fetch(path, { headers: { accept: kind === "text" ? "*/*" : "application/json" } });
    if (answer.status === 401) location.assign("/login");
    if (!answer.ok) throw new Error(answer.status === 404 ? "There is no such thing here." : `The agent answered with ${answer.status}.`);
    return kind === "text" ? answer.text() : answer.json();
  }

  function trouble(stack) {
    const out = [];
    if (stack.sourceTrouble) {
      out.push(el("div", { class: "trouble" }, el("strong", {}, "The source cannot be read; what was read before stays in force. "), stack.sourceTrouble));
    }
    if (stack.state === "failed") {
      out.push(el("div", { class: "trouble" }, stack.message,
        (stack.hints || []).length ? el("ul", {}, stack.hints.map((hint) => el("li", {}, hint))) : null));
    }
    return out;
  }

  function changes(summary) {
    const words = ["create", "adopt", "update", "replace", "delete", "forget"];
    const parts = words.filter((word) => summary[word]).map((word) => `${summary[word]} to ${word}`);
    return parts.join(", ");
  }

  // Overview ---------------------------------------------------------------

  const look = { text: "", state: "" };

  function card(stack, now) {
    const total = Object.values(stack.objects).reduce((sum, count) => sum + count, 0);
    const left = changes(stack.summary);
    return el("li", { class: `stack is-${stack.state}${stack.busy ? " busy" : ""}` },
      el("div", { class: "top" },
        el("a", { class: "name", id: `stack-${stack.name}`, href: `/stacks/${encodeURIComponent(stack.name)}` }, stack.name),
        badge(stack.state, stack.busy ? "reconciling" : stack.state)),
      el("p", {}, stack.state === "synced" && stack.revision ? [code(short(stack.revision.commit)), " ", stack.revision.title || ""] : stack.message || "Nothing is known yet."),
      el("p", { class: "small" }, [stack.mode, plural(total, "object", "objects"), left].filter(Boolean).join(" · ")),
      el("p", { class: "small" }, "compared ", when(stack.lastRun, now),
        stack.driftSince ? [" · drifted for ", span(now - stack.driftSince)] : null,
        stack.suspended ? [" · ", el("strong", {}, "suspended")] : null),
      stack.sourceTrouble ? el("p", { class: "small" }, badge("failed", "source"), " ", stack.sourceTrouble) : null);
  }

  function budgets(list, now) {
    const names = Object.keys(list);
    if (!names.length) return null;
    return el("section", { "aria-labelledby": "budgets" }, el("h2", { id: "budgets" }, "API budget left"),
      el("ul", { class: "budgets" }, names.map((name) => {
        const budget = list[name];
        const known = budget.remaining !== undefined && budget.limit;
        return el("li", {}, el("strong", {}, name), " ", el("span", { class: "tag" }, budget.api),
          known ? el("meter", { min: 0, max: budget.limit, value: budget.remaining, low: budget.limit / 5, "aria-label": `Requests left of connection ${name}` }) : null,
          el("div", { class: "shown" }, budget.remaining === undefined ? "The API tells of no limit."
            : `${budget.remaining}${budget.limit ? ` of ${budget.limit}` : ""} requests left`,
          budget.reset && budget.reset > now ? `, anew in ${span(budget.reset - now)}` : ""));
      })));
  }

  async function overview() {
    const data = await read("/api/v1/stacks");
    document.title = "plumb";
    document.getElementById("version").textContent = data.version;
    const count = {};
    for (const stack of data.stacks) count[stack.state] = (count[stack.state] || 0) + 1;
    const list = el("ul", { class: "stacks" });
    const shown = el("p", { class: "shown", role: "status" });
    const fill = () => {
      const words = look.text.toLowerCase();
      const some = data.stacks
        .filter((stack) => (!look.state || stack.state === look.state) && (!words || `${stack.name} ${stack.source} ${stack.mode}`.toLowerCase().includes(words)))
        .sort((a, b) => STATES.indexOf(a.state) - STATES.indexOf(b.state) || (a.name < b.name ? -1 : 1));
      list.replaceChildren(...some.map((stack) => card(stack, data.now)));
      shown.textContent = `${some.length} of ${plural(data.stacks.length, "stack", "stacks")}`;
      for (const button of tally.querySelectorAll("button")) button.setAttribute("aria-pressed", String(button.dataset.state === look.state));
    };
    const tally = el("ul", { class: "tally", "aria-label": "Stacks by state" }, STATES.filter((state) => count[state]).map((state) =>
      el("li", {}, el("button", { type: "button", id: `state-${state}`, class: `is-${state}`, "data-state": state, "aria-pressed": "false",
        onclick: () => { look.state = look.state === state ? "" : state; fill(); } },
      el("span", { class: "number" }, String(count[state])), badge(state)))));
    const search = el("input", { type: "search", id: "filter", autocomplete: "off", oninput: (event) => { look.text = event.target.value; fill(); } });
    search.value = look.text;
    show("overview", [el("h1", {}, "Stacks"), tally,
      el("div", { class: "search" }, el("label", { for: "filter" }, "Filter by name, source or mode", search), shown), list, budgets(data.budgets, data.now)]);
    fill();
    refreshed();
  }

  // One stack --------------------------------------------------------------

  const kept = {};

  function facts(stack, now) {
    const fact = (name, ...value) => el("div", {}, el("dt", {}, name), el("dd", {}, value));
    const revision = stack.revision;
    return el("dl", { class: "facts-list" },
      fact("Revision", revision ? [code(short(revision.commit)), revision.called ? ` of ${revision.called}` : ""] : "none yet",
        revision && revision.title ? el("div", { class: "small" }, revision.title, revision.author ? ` — ${revision.author}` : "") : null),
      fact("Source", code(stack.source)),
      fact("Mode", stack.mode, stack.suspended ? [", ", el("strong", {}, "suspended")] : "", stack.closed ? el("div", { class: "small" }, stack.closed) : null),
      fact("Compared", when(stack.lastRun, now)),
      fact("Next", stack.suspended ? "not while it is suspended" : when(stack.nextRun, now)),
      fact("Last as declared", when(stack.lastSuccess, now)),
      fact("Drift", stack.driftSince ? `for ${span(now - stack.driftSince)}` : "none"));
  }

  // Objects are prepared once, and only the visible ones become elements.
  function objectsPanel(stack, onlyDrift) {
    const own = (kept[stack.name] ||= {});
    const key = onlyDrift ? "drift" : "objects";
    const state = (own[key] ||= { text: "", state: "", kind: "", page: 0 });
    const all = stack.rows.filter((row) => !onlyDrift || row[3] === "drifted").map((row) => ({ row, text: `${row[0]} ${row[1]} ${row[2]} ${row[5] || ""}`.toLowerCase() }));
    if (onlyDrift && !all.length) return [el("p", { class: "plain" }, "Nothing has drifted.")];
    const body = el("tbody");
    const shown = el("p", { class: "shown", role: "status" });
    const pages = el("div", { class: "pages" });
    const id = `${key}-filter`;
    function fill() {
      const began = performance.now();
      const words = state.text.toLowerCase().split(/\s+/).filter(Boolean);
      const some = all.filter(({ row, text }) => (!state.state || row[3] === state.state) && (!state.kind || row[1] === state.kind) && words.every((word) => text.includes(word)));
      const last = Math.max(0, Math.ceil(some.length / PAGE) - 1);
      state.page = Math.min(state.page, last);
      const from = state.page * PAGE;
      const rows = document.createDocumentFragment();
      for (const { row } of some.slice(from, from + PAGE)) {
        const [address, , connection, how, action, live, since, why] = row;
        rows.append(el("tr", {},
          el("td", {}, code(address), why ? el("div", { class: "why" }, why) : null),
          el("td", { class: "nowrap" }, badge(how)),
          el("td", { class: action ? "" : "empty", "data-label": "Plan" }, action || ""),
          el("td", { class: since ? "nowrap" : "empty", "data-label": "Since" }, since ? when(since, stack.now) : ""),
          el("td", { "data-label": "Connection" }, connection),
          el("td", { class: live ? "" : "empty", "data-label": "Id" }, live ? code(live) : "")));
      }
      body.replaceChildren(rows);
      shown.textContent = some.length ? `${from + 1}–${Math.min(from + PAGE, some.length)} of ${some.length}${some.length < all.length ? ` (${all.length} in all)` : ""}` : `None of ${all.length}`;
      const turn = (by) => { state.page += by; fill(); };
      pages.replaceChildren(...(last ? [
        el("button", { type: "button", class: "plain-button", disabled: state.page === 0, onclick: () => turn(-1) }, "Previous"),
        el("button", { type: "button", class: "plain-button", disabled: state.page === last, onclick: () => turn(1) }, "Next"),
        el("span", { class: "shown" }, `Page ${state.page + 1} of ${last + 1}`)] : []));
      window.plumbFilterMillis = performance.now() - began;
    }
    const input = el("input", { type: "search", id, autocomplete: "off", oninput: (event) => { state.text = event.target.value; state.page = 0; fill(); } });
    input.value = state.text;
    const choose = (name, label, values) => {
      const select = el("select", { id: `${key}-${name}`, onchange: (event) => { state[name] = event.target.value; state.page = 0; fill(); } },
        el("option", { value: "" }, "all"), values.map((value) => el("option", { value }, value)));
      select.value = state[name];
      return el("label", { class: "short", for: `${key}-${name}` }, label, select);
    };
    const kinds = [...new Set(stack.rows.map((row) => row[1]))].sort();
    const states = STATES.filter((one) => stack.objects[one]);
    fill();
    return [el("div", { class: "search" }, el("label", { for: id }, "Filter by address, kind, connection or id", input),
      onlyDrift ? null : choose("state", "State", states), choose("kind", "Kind", kinds), shown),
    el("table", { class: "rows" }, el("caption", { class: "skip" }, onlyDrift ? "Objects that drifted" : "Objects"),
      el("thead", {}, el("tr", {}, ["Object", "State", "Plan", "Since", "Connection", "Id"].map((name) => el("th", { scope: "col" }, name)))), body), pages];
  }

  // A fragment that the agent drew: it has no script, and its texts are safe.
  function fragment(html) {
    const body = new DOMParser().parseFromString(html, "text/html").body;
    for (const tools of body.querySelectorAll(".tools")) tools.remove();
    return el("div", { class: "plan" }, ...body.childNodes);
  }

  async function planPanel(stack) {
    if (!stack.lastRun) return [el("p", { class: "plain" }, "There is no plan yet.")];
    return [fragment(await read(`/api/v1/stacks/${encodeURIComponent(stack.name)}/plan`, "text"))];
  }

  function historyPanel(stack) {
    if (!stack.runs.length) return [el("p", { class: "plain" }, "There was no run yet.")];
    return [el("table", { class: "rows" }, el("caption", { class: "skip" }, "History of runs"),
      el("thead", {}, el("tr", {}, ["When", "Result", "Why", "Revision", "What"].map((name) => el("th", { scope: "col" }, name)))),
      el("tbody", {}, stack.runs.map((run) => el("tr", {},
        el("td", { class: "nowrap", "data-label": "When" }, when(run.began, stack.now)),
        el("td", { class: "nowrap" }, badge(run.state)),
        el("td", { "data-label": "Why" }, run.cause),
        el("td", { "data-label": "Revision" }, code(short(run.commit))),
        el("td", {}, run.message, el("div", { class: "why" }, `${run.applied ? "applied" : "planned"} in ${run.seconds.toFixed(1)} s`))))))];
  }

  function graphPanel(stack) {
    const own = ((kept[stack.name] ||= {}).graph ||= { text: "", state: "", zoom: 1 });
    const frame = el("div", { class: "graph", tabindex: "0", role: "region", "aria-label": "Dependency graph" });
    const shown = el("p", { class: "shown", role: "status" });
    const scale = () => {
      const svg = frame.querySelector("svg");
      if (!svg) return;
      const [, , width, height] = svg.getAttribute("viewBox").split(" ").map(Number);
      svg.setAttribute("width", Math.round(width * own.zoom));
      svg.setAttribute("height", Math.round(height * own.zoom));
    };
    const zoom = (by) => { own.zoom = by === 0 ? 1 : Math.min(4, Math.max(0.1, own.zoom * by)); scale(); };
    let turn = 0;
    async function draw() {
      const mine = ++turn;
      const query = new URLSearchParams({ filter: own.text, state: own.state });
      const answer = await fetch(`/api/v1/stacks/${encodeURIComponent(stack.name)}/graph.svg?${query}`);
      const text = await answer.text();
      if (mine !== turn || !answer.ok) return;
      const svg = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
      frame.replaceChildren(document.importNode(svg, true));
      const left = Number(answer.headers.get("x-left-out") || 0);
      shown.textContent = left ? `${left} objects are left out; filter to see them.` : "";
      scale();
    }
    let timer = 0;
    const soon = () => { clearTimeout(timer); timer = setTimeout(draw, 200); };
    const input = el("input", { type: "search", id: "graph-filter", autocomplete: "off", oninput: (event) => { own.text = event.target.value; soon(); } });
    input.value = own.text;
    const select = el("select", { id: "graph-state", onchange: (event) => { own.state = event.target.value; draw(); } },
      el("option", { value: "" }, "all"), STATES.filter((one) => stack.objects[one]).map((value) => el("option", { value }, value)));
    select.value = own.state;
    frame.addEventListener("keydown", (event) => {
      const by = { "+": 1.25, "=": 1.25, "-": 0.8, 0: 0 }[event.key];
      if (by !== undefined && !event.ctrlKey && !event.metaKey) { zoom(by); event.preventDefault(); }
    });
    frame.addEventListener("wheel", (event) => {
      if (event.ctrlKey) { zoom(event.deltaY < 0 ? 1.1 : 0.9); event.preventDefault(); }
    }, { passive: false });
    draw();
    const button = (label, by) => el("button", { type: "button", class: "plain-button", onclick: () => zoom(by) }, label);
    return [el("div", { class: "search" }, el("label", { for: "graph-filter" }, "Filter; neighbours are shown too", input),
      el("label", { class: "short", for: "graph-state" }, "State", select),
      button("Zoom in", 1.25), button("Zoom out", 0.8), button("Actual size", 0), shown), frame];
  }

  function pullsPanel(stack) {
    if (!stack.pulls.length) return [el("p", { class: "plain" }, "No pull request is open that concerns this stack.")];
    return [el("ul", {}, stack.pulls.map((pull) => el("li", {},
      el("a", { href: `/stacks/${encodeURIComponent(stack.name)}/pulls/${pull.number}` }, `Pull request ${pull.number}`), " at ", code(short(pull.head)), ": ", changes(pull.summary) || "no changes")))];
  }

  async function stackPage(name) {
    const stack = await read(`/api/v1/stacks/${encodeURIComponent(name)}`);
    document.title = `${stack.name} · plumb`;
    const own = (kept[stack.name] ||= {});
    const drifted = stack.objects.drifted || 0;
    const tabs = [
      ["objects", `Objects (${stack.rows.length})`, () => objectsPanel(stack, false)],
      ["plan", "Last plan", () => planPanel(stack)],
      ["drift", `Drift (${drifted})`, () => objectsPanel(stack, true)],
      ["history", "History", () => historyPanel(stack)],
      ["graph", "Graph", () => graphPanel(stack)],
      ["pulls", `Pull requests (${stack.pulls.length})`, () => pullsPanel(stack)],
    ];
    const panel = el("div", { class: "panel", role: "tabpanel", id: "panel", tabindex: "0" });
    const choose = async (id, focus) => {
      own.tab = id;
      for (const button of list.children) {
        const on = button.id === `tab-${id}`;
        button.setAttribute("aria-selected", String(on));
        button.tabIndex = on ? 0 : -1;
        if (on && focus) button.focus();
      }
      panel.setAttribute("aria-labelledby", `tab-${id}`);
      try {
        const content = await tabs.find(([known]) => known === id)[2]();
        if (own.tab === id) panel.replaceChildren(...content.filter(Boolean));
      } catch (error) {
        panel.replaceChildren(el("p", { class: "trouble" }, error.message));
      }
    };
    const list = el("div", { class: "tabs", role: "tablist", "aria-label": "About this stack" }, tabs.map(([id, label]) =>
      el("button", { type: "button", role: "tab", id: `tab-${id}`, "aria-controls": "panel", onclick: () => choose(id, false) }, label)));
    list.addEventListener("keydown", (event) => {
      const at = tabs.findIndex(([id]) => id === own.tab);
      const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      choose(tabs[(to + tabs.length) % tabs.length][0], true);
    });
    show(`stack ${name}`, [el("nav", { class: "crumbs", "aria-label": "Breadcrumb" }, el("a", { href: "/" }, "Stacks")),
      el("h1", { class: stack.busy ? "busy" : "" }, stack.name, badge(stack.state, stack.busy ? "reconciling" : stack.state)),
      stack.state === "failed" ? null : el("p", { class: "shown" }, stack.message),
      trouble(stack), facts(stack, stack.now), list, panel, budgets(stack.budgets, stack.now)]);
    await choose(own.tab || (stack.state === "drifted" ? "drift" : "objects"), false);
    refreshed();
  }

  async function pullPage(name, number) {
    document.title = `Pull request ${number} · ${name} · plumb`;
    const html = await read(`/api/v1/stacks/${encodeURIComponent(name)}/pulls/${number}`, "text");
    show(`pull ${name} ${number}`, [el("nav", { class: "crumbs", "aria-label": "Breadcrumb" }, el("a", { href: "/" }, "Stacks"), " / ",
      el("a", { href: `/stacks/${encodeURIComponent(name)}` }, name)), el("h1", {}, `Plan of pull request ${number}`), fragment(html)]);
    refreshed();
  }

  // The frame --------------------------------------------------------------

  // Replaces the content; what had the focus keeps it, by its id.
  function show(what, content) {
    const focus = document.activeElement;
    const id = focus && main.contains(focus) ? focus.id : "";
    const place = id && focus.selectionStart !== undefined ? [focus.selectionStart, focus.selectionEnd] : null;
    const same = drawn === what;
    const [x, y] = [window.scrollX, window.scrollY];
    main.replaceChildren(...content.flat().filter(Boolean));
    if (same) {
      window.scrollTo(x, y);
      const again = id && document.getElementById(id);
      if (again) {
        again.focus({ preventScroll: true });
        if (place && again.setSelectionRange) try { again.setSelectionRange(...place); } catch { /* not every input has a selection */ }
      }
    } else {
      window.scrollTo(0, 0);
      if (drawn !== null) main.focus({ preventScroll: true });
    }
    drawn = what;
  }

  const refreshed = () => { document.getElementById("refreshed").textContent = `As of ${new Date().toLocaleTimeString()}`; };

  async function route() {
    const pull = location.pathname.match(/^\/stacks\/([^/]+)\/pulls\/(\d+)$/);
    const stack = location.pathname.match(/^\/stacks\/([^/]+)$/);
    try {
      if (pull) await pullPage(decodeURIComponent(pull[1]), pull[2]);
      else if (stack) await stackPage(decodeURIComponent(stack[1]));
      else await overview();
    } catch (error) {
      show("error", [el("nav", { class: "crumbs", "aria-label": "Breadcrumb" }, el("a", { href: "/" }, "Stacks")), el("h1", {}, "Not to be shown"), el("p", { class: "trouble" }, error.message)]);
    }
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest && event.target.closest("a[href^='/']");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    history.pushState(null, "", link.getAttribute("href"));
    route();
  });
  window.addEventListener("popstate", route);

  const live = document.getElementById("live");
  const state = (on, word) => { live.classList.toggle("on", on); if (live.textContent !== word) live.textContent = word; };
  // What each stack's page was drawn from: others that change are no reason to draw it anew.
  let versions = null;
  let pending = 0;
  const source = new EventSource("/api/v1/events");
  source.addEventListener("open", () => state(true, "live"));
  source.addEventListener("error", () => state(false, "not connected"));
  source.addEventListener("change", (event) => {
    const before = versions;
    versions = JSON.parse(event.data);
    const shown = location.pathname.match(/^\/stacks\/([^/]+)/);
    const name = shown && decodeURIComponent(shown[1]);
    if (!before || (name && before[name] === versions[name])) return;
    clearTimeout(pending);
    // Whoever is choosing or reading an open action is not disturbed by a new drawing of it.
    pending = setTimeout(() => { if (!document.querySelector("select:focus, details[open]")) route(); }, 150);
  });
  route();
})();
