"use strict";
(() => {
  const data = document.getElementById("lti").dataset;
  const form = document.getElementById("launch");
  const id = crypto.randomUUID();
  let frame = window.parent === window ? window.opener : window.parent;
  try {
    if (frame && data.target !== "_parent") frame = frame.frames[data.target];
  } catch {
    frame = null;
  }
  if (!frame) return;
  addEventListener("message", (event) => {
    if (event.origin !== data.origin || event.data?.message_id !== id) return;
    if (event.data.subject !== "lti.get_data.response" || typeof event.data.value !== "string") return;
    form.elements.stored.value = event.data.value;
    form.submit();
  });
  frame.postMessage({ subject: "lti.get_data", message_id: id, key: data.key }, data.origin);
})();
