// Shows what the kernel says, as text. It sends nothing but the wish to hand in.
const element = (name, text = "", className = "") => {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = className;
  return made;
};

const row = (each) => {
  const line = element("tr");
  const name = element("th");
  name.scope = "row";
  name.append(element("code", each.name));
  const verdict = element("td");
  verdict.append(element("span", `${each.symbol} ${each.verdict}`, `badge ${each.kind}`));
  line.append(name, verdict, element("td", each.message));
  return line;
};

const parts = (shown) => {
  const made = [];
  if (shown.lead) made.push(element("p", shown.lead, "lead"));
  if (shown.rows.length) {
    const table = element("table");
    const body = element("tbody");
    body.append(...shown.rows.map(row));
    table.append(body);
    made.push(table);
  }
  if (shown.closing) made.push(element("p", shown.closing, "closing"));
  if (/^https?:\/\//.test(shown.page)) {
    const link = element("a", shown.page);
    link.href = shown.page;
    link.target = "_blank";
    link.rel = "noopener noreferrer";
    const line = element("p", "The report: ");
    line.append(link);
    made.push(line, element("p", `Receipt: ${shown.receipt}`, "small"));
  }
  return made;
};

function render({ model, el }) {
  const box = element("div", "", "grader-check");
  const button = element("button", "Hand in");
  button.type = "button";
  const status = element("div");
  status.setAttribute("role", "status");
  const show = () => {
    const shown = model.get("shown");
    button.disabled = shown.kind === "working";
    status.className = shown.kind;
    status.replaceChildren(...parts(shown));
  };
  button.addEventListener("click", () => {
    button.disabled = true;
    status.replaceChildren(element("p", "The kernel hands in as soon as it is free."));
    model.send({ ask: "submit" });
  });
  model.on("change:shown", show);
  show();
  box.append(button, status);
  el.append(box);
  return () => model.off("change:shown", show);
}

export default { render };
