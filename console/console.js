// The console: sign in, read what the model saw, ask the data. Whatever comes from the server is shown as text, never as markup.

import { unzip } from "./zip.js";

/** What this page holds of an archive at most; larger ones are for the disk. */
const ARCHIVE_BYTES_MAX = 256 * 1024 * 1024;
const SESSION = "session";
const MESSAGE = "message";

const $ = (id) => document.getElementById(id);
const on = (id, event, handler) => $(id).addEventListener(event, handler);

/** An element with a text. */
function element(tag, text, properties = {}) {
  const made = Object.assign(document.createElement(tag), properties);
  if (text !== undefined) made.textContent = text;
  return made;
}

/** Who is signed in: `{org, user, token, expires}`, as long as this tab lives. */
let session = JSON.parse(sessionStorage.getItem(SESSION) ?? "null");

// --- Talking to the server ---

/** @throws {Error} with the server's own sentence */
async function ask(path, { headers = {}, ...options } = {}) {
  const asked = session;
  if (asked) headers.Authorization = `Bearer ${asked.token}`;
  const answer = await fetch(path, { ...options, headers });
  if (answer.ok) return answer;
  const told = await sentence(answer);
  // The token has expired, or its user is gone; the address stays, to go on from.
  if (answer.status === 401 && asked) signOut(told);
  throw Object.assign(new Error(told), { status: answer.status });
}

async function sentence(answer) {
  const { detail } = await answer.json().catch(() => ({}));
  if (Array.isArray(detail)) return detail.map(({ loc, msg }) => `${loc.at(-1)}: ${msg}`).join("; ");
  return detail ?? `the server answered ${answer.status}`;
}

const admin = (path) => `/v1/${encodeURIComponent(session.org)}/admin/${path}`;

/** Runs what a button asks for: once at a time, its failure told. */
async function doing(control, work) {
  if (control.disabled) return;
  control.disabled = true;
  tell("");
  try {
    await work();
  } catch (error) {
    tell(error.message);
  } finally {
    control.disabled = false;
  }
}

function tell(message) {
  $("message").textContent = message;
  $("message").hidden = !message;
}

// --- Signing in ---

on("sign-in", "submit", (event) => {
  event.preventDefault();
  doing(event.submitter ?? $("sign-in").querySelector("button"), async () => {
    const [org, user] = [$("org").value.trim(), $("user").value.trim()];
    const headers = { "x-api-key": $("key").value.trim(), "x-api-key-id": $("key-id").value.trim(), "x-user-id": user };
    const path = `/v1/${encodeURIComponent(org)}/user/signin_with_api_key`;
    const answer = await (await ask(path, { method: "POST", headers })).json();
    session = { org, user, token: answer.id_token, expires: answer.expires_at };
    sessionStorage.setItem(SESSION, JSON.stringify(session));
    $("key").value = "";
    show();
  });
});

on("sign-out", "click", () => {
  history.replaceState(null, "", location.pathname);
  signOut("");
});

/** Of what one user saw nothing is left for the next: the page begins anew, with what is to be said. */
function signOut(message) {
  sessionStorage.clear();
  if (message) sessionStorage.setItem(MESSAGE, message);
  location.reload();
}

// --- The views, which addresses name: #logs=PREFIX, #sql=STATEMENT ---

function show() {
  const [, view, text] = /^#(logs|sql)(?:=(.*))?$/s.exec(location.hash) ?? [null, "logs", ""];
  $("signed-out").hidden = session !== null;
  for (const name of ["logs", "sql"]) {
    $(name).hidden = session === null || view !== name;
    $(`view-${name}`).setAttribute("aria-pressed", view === name);
  }
  for (const id of ["views", "sign-out"]) $(id).hidden = session === null;
  const until = session && new Date(session.expires).toLocaleTimeString([], { timeStyle: "short" });
  $("who").textContent = session ? `${session.user} of ${session.org}, until ${until}` : "";
  if (session === null) return $("org").focus();
  const asked = decode(text ?? "");
  if (view === "logs" && asked && asked !== $("prefix").value) {
    $("prefix").value = asked;
    $("find").requestSubmit();
  }
  if (view === "sql" && asked && !$("statement").value) $("statement").value = asked;
  $(view === "sql" ? "statement" : "prefix").focus();
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Names in the address what is looked at, to come back to and to hand on. It runs nothing by itself but a search. */
function name(view, text) {
  history.replaceState(null, "", text ? `#${view}=${encodeURIComponent(text)}` : `#${view}`);
}

for (const view of ["logs", "sql"]) {
  on(`view-${view}`, "click", () => {
    name(view, $(view === "sql" ? "statement" : "prefix").value);
    show();
  });
}
addEventListener("hashchange", show);

// --- What the model saw ---

/** `{key, system, history, error}`, the parts entries of the archive. */
let logs = [];

on("find", "submit", (event) => {
  event.preventDefault();
  find(null);
});
on("next", "click", () => find($("next").dataset.after));

function find(after) {
  const prefix = $("prefix").value;
  doing($("find").querySelector("[type=submit]"), async () => {
    name("logs", prefix);
    $("found").textContent = "Looking…";
    $("next").hidden = $("zip").hidden = true;
    showLogs([]);
    const query = new URLSearchParams({ prompt_log_prefix: prefix });
    if (after) query.set("after", after);
    try {
      const answer = await ask(`${admin("get_prompt_logs/")}?${query}`);
      const bytes = await body(answer);
      showLogs(grouped(unzip(bytes)));
      showMore(answer.headers, bytes);
    } catch (error) {
      $("found").textContent = error.status === 404 ? "No log of the past days begins so." : "";
      if (error.status !== 404) throw error;
    }
  });
}

async function body(answer) {
  const parts = [];
  let length = 0;
  for (const reader = answer.body.getReader(); ; ) {
    const { done, value } = await reader.read().catch(() => {
      throw new Error("The archive broke off before its end: not all of its logs can be read now; the server's log says why.");
    });
    if (done) break;
    parts.push(value);
    length += value.length;
    $("found").textContent = `Reading… ${(length / 1e6).toFixed(1)} MB`;
    if (length > ARCHIVE_BYTES_MAX) {
      reader.cancel();
      throw new Error("These logs are larger than this page holds (256 MB): name more of the key, or use amigo-admin prompt-logs download.");
    }
  }
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function showMore(headers, bytes) {
  const isCut = headers.get("x-prompt-log-truncated") === "true";
  $("found").textContent = `${logs.length} log${logs.length === 1 ? "" : "s"}${isCut ? ", and there are more" : ""}`;
  $("next").hidden = !isCut;
  if (isCut) $("next").dataset.after = decode(headers.get("x-prompt-log-next-after") ?? "");
  const file = /filename="([^"]+)"/.exec(headers.get("content-disposition") ?? "")?.[1] ?? "prompt-logs.zip";
  URL.revokeObjectURL($("zip").href);
  $("zip").href = URL.createObjectURL(new Blob([bytes], { type: "application/zip" }));
  $("zip").download = file;
  $("zip").hidden = false;
}

function grouped(entries) {
  const byKey = new Map();
  for (const entry of entries) {
    const [, key, part] = /^(.*)-(system|history|error)$/s.exec(entry.name) ?? [null, entry.name, "history"];
    if (!byKey.has(key)) byKey.set(key, { key });
    byKey.get(key)[part] = entry;
  }
  return [...byKey.values()];
}

function showLogs(found) {
  logs = found;
  $("containing").value = "";
  $("containing").hidden = logs.length < 2;
  $("log").hidden = true;
  list(logs);
  if (logs.length) showLog(logs[0]);
}

function list(some) {
  const items = some.map((log) => {
    const button = element("button", log.key, { type: "button", className: log.error ? "failed" : "" });
    button.addEventListener("click", () => showLog(log));
    log.button = button;
    const item = element("li");
    item.append(button);
    return item;
  });
  $("keys").replaceChildren(...items);
}

/** The log that is looked at: what comes late of another one is not shown. */
let current = null;

async function showLog(log) {
  current = log;
  for (const { button } of logs) button?.removeAttribute("aria-current");
  log.button?.setAttribute("aria-current", "true");
  const before = logBefore(log);
  try {
    const parts = [log.system, log.history, log.error, before?.history].map((part) => part?.text());
    const [system, history, error, known] = await Promise.all(parts);
    if (current !== log) return;
    $("log-key").textContent = log.key;
    $("log-error").textContent = error ?? "";
    $("log-error").hidden = error === undefined;
    $("system-part").hidden = system === undefined;
    $("system").textContent = system ?? "";
    $("history-part").hidden = history === undefined;
    showHistory(history ?? "", known ?? "");
    $("log").hidden = false;
    $("history").scrollTop = Math.max(0, ($("history").querySelector(".fresh")?.offsetTop ?? 0) - $("history").offsetTop - 40);
  } catch (error) {
    tell(error.message);
  }
}

/** The one that this one goes on from: of the same kind, as the last part of a key says, if there is one. */
function logBefore(log) {
  const earlier = logs.slice(0, logs.indexOf(log));
  const kind = ({ key }) => key.slice(key.lastIndexOf("/"));
  return earlier.findLast((other) => kind(other) === kind(log)) ?? earlier.at(-1);
}

/** A prompt repeats the one before it: what it adds is what one looks for. */
function showHistory(text, before) {
  let same = 0;
  while (same < text.length && same < before.length && text[same] === before[same]) same += 1;
  // Whole lines, and never half of a character.
  const isLine = text[same] === "\n" && (before[same] ?? "\n") === "\n";
  if (isLine) same += 1;
  else if (same < text.length) same = text.lastIndexOf("\n", same - 1) + 1;
  const isFollowing = same > 0 && same < text.length;
  $("news").textContent = isFollowing ? "the lines that the log before does not have are marked" : "";
  const parts = isFollowing
    ? [element("span", text.slice(0, same), { className: "known" }), element("span", text.slice(same), { className: "fresh" })]
    : [text];
  $("history").replaceChildren(...parts);
}

/** Counts the searches: one that was overtaken stops. */
let search = 0;

on("containing", "input", async () => {
  const [wanted, mine] = [$("containing").value, (search += 1)];
  if (!wanted) return list(logs);
  await new Promise((resolve) => setTimeout(resolve, 250));
  const matching = [];
  for (const log of logs) {
    if (mine !== search) return;
    for (const part of [log.system, log.history, log.error]) {
      if (part && (await part.text()).includes(wanted)) {
        matching.push(log);
        break;
      }
    }
  }
  if (mine === search) list(matching);
});

// --- What the data says ---

on("statement", "keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("query").requestSubmit();
});

on("query", "submit", (event) => {
  event.preventDefault();
  doing($("query").querySelector("[type=submit]"), () =>
    query(async (sql) => {
      $("told").textContent = "Running…";
      const answer = await (await submit({ sql_query: sql, async_query: false })).json();
      showRows(answer);
    }),
  );
});

on("to-file", "click", () => {
  if (!$("query").reportValidity()) return;
  doing($("to-file"), () =>
    query(async (sql) => {
      const answer = await submit({ sql_query: sql, async_query: true, result_format: $("format").value });
      await follow(await answer.json());
    }),
  );
});

function submit(asked) {
  const headers = { "Content-Type": "application/json" };
  return ask(admin("sql_query"), { method: "POST", headers, body: JSON.stringify(asked) });
}

/** Shows the place of an error below the statement, as the server drew it. */
async function query(run) {
  const sql = $("statement").value;
  name("sql", sql);
  $("sql-error").hidden = true;
  $("rows").replaceChildren();
  $("told").textContent = "";
  try {
    await run(sql);
  } catch (error) {
    $("told").textContent = "";
    $("sql-error").textContent = error.message;
    $("sql-error").hidden = false;
  }
}

function showRows({ columns, result, truncated, execution_time_ms: ms }) {
  const head = element("tr");
  for (const { name, type } of columns) {
    const cell = element("th", name, { scope: "col" });
    cell.append(element("small", type));
    head.append(cell);
  }
  const rows = result.map((values) => {
    const row = element("tr");
    for (const value of values) row.append(cell(value));
    return row;
  });
  $("rows").replaceChildren(head, ...rows);
  const cut = truncated ? "the first of more; write a file for all" : "all";
  $("told").textContent = `${result.length} row${result.length === 1 ? "" : "s"}, ${cut}, in ${ms} ms`;
}

function cell(value) {
  if (value === null) return element("td", "NULL", { className: "null" });
  if (typeof value === "object") return element("td", JSON.stringify(value));
  return element("td", String(value), { className: typeof value === "number" ? "number" : "" });
}

/** Waits for a file. It is written whether this page waits or not. */
async function follow({ query_id: id, signed_url: url }) {
  const status = $("file");
  status.hidden = false;
  const stop = element("button", "Cancel", { type: "button" });
  stop.addEventListener("click", () => doing(stop, () => ask(admin(`sql_query/${id}`), { method: "DELETE" })));
  for (;;) {
    const told = await (await ask(admin(`sql_query/${id}`))).json();
    if (told.status === "succeeded") {
      return status.replaceChildren(`${told.rows} rows: `, element("a", "download", { href: url, download: "" }));
    }
    if (told.status !== "running" && told.status !== "queued") {
      status.hidden = true;
      throw new Error(told.error ?? `the query was ${told.status}`);
    }
    status.replaceChildren(`Writing the file… ${told.rows ?? 0} rows `, stop);
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

on("load-tables", "click", () =>
  doing($("load-tables"), async () => {
    const { tables } = await (await ask(admin("sql_schema"))).json();
    const shown = tables.map((table) => {
      const details = element("details");
      details.append(element("summary", table.name));
      for (const column of table.columns) {
        const button = element("button", `${column.name} ${column.type}`, { type: "button", title: column.comment ?? "" });
        button.addEventListener("click", () => insert(column.name));
        details.append(button);
      }
      return details;
    });
    $("tables").replaceChildren(...shown);
    $("load-tables").hidden = true;
  }),
);

function insert(name) {
  const plain = /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) ? name : `\`${name.replaceAll("`", "``")}\``;
  const box = $("statement");
  box.setRangeText(plain, box.selectionStart, box.selectionEnd, "end");
  box.focus();
}

tell(sessionStorage.getItem(MESSAGE) ?? "");
sessionStorage.removeItem(MESSAGE);
show();
