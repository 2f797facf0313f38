"use strict";
// Functions that the pages share. A page sets `update`, which reads its data and shows them.

const POLL_MS = 1000;
const element = (id) => document.getElementById(id);
const show = (id, text) => { element(id).textContent = text; };
let update = async () => {};
let key = "";

async function request(method, path, content) {
  const headers = key === "" ? {} : { "X-Admin-Key": key };
  const options = { method, headers, cache: "no-store" };
  if (content !== undefined) {
    headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(content);
  }
  const response = await fetch(path, options);
  const body = await response.json().catch(() => ({}));
  if (!response.ok) {
    throw Object.assign(new Error(body.detail || "status " + response.status), { status: response.status });
  }
  return body;
}

function setStatus(text, kind) {
  show("status", text);
  element("status").className = "badge " + kind;
}

function node(name, text, kind) {
  const created = document.createElement(name);
  if (text !== undefined) created.textContent = text;
  if (kind) created.className = kind;
  return created;
}

function cell(label, ...content) {
  const td = node("td");
  td.dataset.label = label;
  td.append(...content);
  return td;
}

// Shows rows in the table `id`, or its text if there are none.
function fill(id, rows, none) {
  element(id).hidden = rows.length === 0;
  element(id).tBodies[0].replaceChildren(...rows);
  element("no-" + id).hidden = rows.length > 0;
  show("no-" + id, none);
}

function button(text, label, path, content) {
  const created = node("button", text);
  created.type = "button";
  created.setAttribute("aria-label", label);
  created.addEventListener("click", () => act(created, path, content));
  return created;
}

// Shows an error. Returns whether the service refuses the key.
function fail(error) {
  const refused = error.status === 401 || error.status === 403;
  element("login").hidden = !refused;
  if (refused && key === "") {
    element("problem").hidden = true;
    setStatus("admin key required", "warn");
  } else {
    element("problem").hidden = false;
    show("problem", error.status ? error.message : "The service does not respond; trying again each second.");
    setStatus(refused ? "refused" : "no data", "bad");
  }
  for (const control of document.querySelectorAll(".needs-data")) control.disabled = true;
  return refused;
}

let generation = 0;
async function poll(mine) {
  let stop = false;
  const isCurrent = () => mine === generation;
  try {
    await update(isCurrent);
    if (!isCurrent()) return;
    element("login").hidden = true;
    element("problem").hidden = true;
    for (const control of document.querySelectorAll(".needs-data")) control.disabled = false;
  } catch (error) {
    if (!isCurrent()) return;
    stop = fail(error);
  }
  if (!stop) setTimeout(() => poll(mine), POLL_MS);
}

function restart() {
  generation += 1;
  poll(generation);
}

async function act(control, path, content) {
  control.disabled = true;
  try {
    await request("POST", path, content);
    restart();
  } catch (error) {
    control.disabled = false;
    fail(error);
  }
}

element("login").addEventListener("submit", (event) => {
  event.preventDefault();
  key = element("key").value;
  element("key").value = "";
  restart();
});
