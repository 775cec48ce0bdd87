// Every page works without this script. It shows what is new without a reload, times in the reader's zone, and a place
// to drop a file.
"use strict";

const localTimes = (root) => {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(time.dateTime);
    time.title = time.textContent;
    time.textContent = moment.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
  }
};

// A report cannot run scripts, so its frame is kept as high as it is from here, also when something in it is unfolded.
const fitFrames = (root) => {
  for (const frame of root.querySelectorAll("iframe.report")) {
    const watch = () => {
      const inside = frame.contentDocument?.documentElement;
      const edges = frame.offsetHeight - frame.clientHeight;
      const fit = () => { frame.style.height = `${Math.ceil(inside.getBoundingClientRect().height) + edges}px`; };
      if (inside && frame.contentDocument.URL !== "about:blank") new ResizeObserver(fit).observe(inside);
    };
    frame.addEventListener("load", watch);
    watch();
  }
};

// What the server sent for each part of the page, by id: the part itself changes when times are made local.
const sources = new Map();
for (const part of document.querySelectorAll("[data-live]")) sources.set(part.id, part.outerHTML);

let isLoading = false;
let isStale = false;
const reload = async () => {
  isStale = isLoading;
  if (isLoading) return;
  isLoading = true;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok || answer.redirected) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const old of document.querySelectorAll("[data-live]")) {
      const now = fresh.getElementById(old.id);
      if (!now || now.outerHTML === sources.get(old.id)) continue;
      sources.set(old.id, now.outerHTML);
      const focused = old.contains(document.activeElement) && document.activeElement.id;
      old.replaceWith(document.adoptNode(now));
      localTimes(now);
      fitFrames(now);
      if (focused) document.getElementById(focused)?.focus();
    }
  } finally {
    isLoading = false;
    if (isStale) reload();
  }
};

localTimes(document);
fitFrames(document);

if (document.body.dataset.events && document.querySelector("[data-live]")) {
  new EventSource(document.body.dataset.events).addEventListener("changed", reload);
  const poll = () => {
    const waiting = document.querySelector("[data-poll]");
    if (waiting) reload();
    setTimeout(poll, 1000 * (waiting ? Number(waiting.dataset.poll) : 60));
  };
  setTimeout(poll, 3000);
}

for (const form of document.querySelectorAll("form.drop")) {
  const input = form.querySelector("input[type=file]");
  for (const kind of ["dragover", "dragenter"]) form.addEventListener(kind, (event) => { event.preventDefault(); form.classList.add("over"); });
  for (const kind of ["dragleave", "drop"]) form.addEventListener(kind, () => form.classList.remove("over"));
  form.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length) {
      input.files = event.dataTransfer.files;
      form.requestSubmit();
    }
  });
}
