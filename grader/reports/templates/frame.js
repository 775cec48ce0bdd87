"use strict";
// Without scripts of its own, the page inside cannot grow its frame: on paper, only the first sheet would be printed.
const frame = document.querySelector("iframe");
const paper = 720; // pixels between the margins of a sheet

addEventListener("beforeprint", () => {
  const inside = frame.contentDocument;
  for (const fold of inside.querySelectorAll("details")) fold.open = true;
  frame.style.width = `${paper}px`;
  frame.style.height = "0";
  document.body.style.height = "auto";
  frame.style.height = `${inside.documentElement.scrollHeight}px`;
});

addEventListener("afterprint", () => {
  frame.style.width = frame.style.height = document.body.style.height = "";
});
