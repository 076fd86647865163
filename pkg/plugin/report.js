"use strict";
// Tables sort by a click on a column's head: numbers the largest first, words as they are spelt, what has no number last.
for (const table of document.querySelectorAll("table.sorts")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, n) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const number = head.classList.contains("n");
      const now = head.getAttribute("aria-sort");
      const down = now ? now === "ascending" : number;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const order = (a, b) => {
        const one = a.cells[n], two = b.cells[n];
        if (!number) {
          return (down ? -1 : 1) * one.textContent.localeCompare(two.textContent);
        }
        const missing = !one.dataset.v - !two.dataset.v;
        return missing || (down ? -1 : 1) * (one.dataset.v - two.dataset.v);
      };
      table.tBodies[0].append(...[...table.tBodies[0].rows].sort(order));
    });
  });
}
