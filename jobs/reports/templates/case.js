// The picture: points that push each other away and are held by their ties, until somebody drags one.
(() => {
  const { nodes, ties, width, height } = JSON.parse(document.getElementById("data").textContent);
  const svg = document.getElementById("graph"), told = document.getElementById("told");
  const make = (name, values, parent = svg) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    Object.entries(values).forEach(([key, value]) => element.setAttribute(key, value));
    return parent.appendChild(element);
  };
  const defs = make("defs", {});
  const arrow = make("marker", { id: "arrow", viewBox: "0 0 8 8", refX: 17, refY: 4, markerWidth: 6, markerHeight: 6, orient: "auto" }, defs);
  make("path", { d: "M0 0L8 4L0 8z", fill: "#8796a5" }, arrow);
  ties.forEach(tie => {
    tie.line = make("line", { class: "tie", ...(tie.directed ? { "marker-end": "url(#arrow)" } : {}) });
    tie.area = make("line", { class: "touch" });
  });
  nodes.forEach(node => {
    node.dot = make("circle", { r: node.entity === "customer" ? 9 : 7, fill: node.colour, tabindex: 0, ...(node.marked ? { class: "marked" } : {}) });
    node.text = make("text", { "text-anchor": "middle" });
    node.text.textContent = node.label;
    // Letters are larger on a phone: so far from the border that a label is whole.
    node.half = Math.min(width / 2, Math.max(60, node.text.getComputedTextLength() / 2 + 4));
  });
  const place = () => {
    for (const { line, area, src, dst } of ties) for (const drawn of [line, area]) {
      drawn.setAttribute("x1", nodes[src].x); drawn.setAttribute("y1", nodes[src].y);
      drawn.setAttribute("x2", nodes[dst].x); drawn.setAttribute("y2", nodes[dst].y);
    }
    for (const { dot, text, x, y } of nodes) {
      dot.setAttribute("cx", x); dot.setAttribute("cy", y); text.setAttribute("x", x); text.setAttribute("y", y - 13);
    }
  };
  // A fixed number of rounds, ever calmer: the same case gives the same picture (Fruchterman and Reingold 1991).
  const settle = (rounds, held) => {
    const room = Math.sqrt(width * height / Math.max(nodes.length, 1)) * 0.62;
    for (let round = 0; round < rounds; round++) {
      const heat = room * 0.35 * (1 - round / rounds) + 0.5;
      for (const node of nodes) { node.fx = (width / 2 - node.x) * 0.04; node.fy = (height / 2 - node.y) * 0.07; }
      for (let i = 0; i < nodes.length; i++) for (let j = 0; j < i; j++) {
        const dx = nodes[i].x - nodes[j].x || (i % 7 - 3) / 10 || 0.1, dy = nodes[i].y - nodes[j].y || 0.1;
        const push = room * room / Math.max(dx * dx + dy * dy, 25);
        nodes[i].fx += dx * push; nodes[j].fx -= dx * push; nodes[i].fy += dy * push; nodes[j].fy -= dy * push;
      }
      for (const { src, dst } of ties) {
        const dx = nodes[dst].x - nodes[src].x, dy = nodes[dst].y - nodes[src].y, pull = Math.hypot(dx, dy) / room * 0.5;
        nodes[src].fx += dx * pull; nodes[dst].fx -= dx * pull; nodes[src].fy += dy * pull; nodes[dst].fy -= dy * pull;
      }
      for (const node of nodes) {
        if (node === held) continue;
        const size = Math.hypot(node.fx, node.fy) || 1, step = Math.min(size, heat) / size;
        node.x = Math.min(width - node.half, Math.max(node.half, node.x + node.fx * step));
        node.y = Math.min(height - 14, Math.max(34, node.y + node.fy * step));
      }
    }
    place();
  };
  const show = (words, chosen) => {
    told.textContent = words;
    const near = new Set(chosen.flatMap(tie => [tie.src, tie.dst]));
    ties.forEach(tie => { tie.line.classList.toggle("on", chosen.includes(tie)); tie.line.classList.toggle("dim", chosen.length > 0 && !chosen.includes(tie)); });
    nodes.forEach((node, index) => { for (const drawn of [node.dot, node.text]) drawn.classList.toggle("dim", chosen.length > 0 && !near.has(index)); });
  };
  ties.forEach(tie => tie.area.addEventListener("pointerdown", () => show(`${nodes[tie.src].label} – ${nodes[tie.dst].label}: ${tie.words}`, [tie])));
  nodes.forEach((node, index) => {
    const tell = () => show([`${node.entity} ${node.label}`, ...node.marks].join("\n"), ties.filter(tie => tie.src === index || tie.dst === index));
    node.dot.addEventListener("focus", tell);
    node.dot.addEventListener("click", tell);
    node.dot.addEventListener("pointerdown", down => {
      tell(); node.dot.setPointerCapture(down.pointerId);
      const move = event => {
        const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
        node.x = point.x; node.y = point.y; settle(2, node);
      };
      node.dot.addEventListener("pointermove", move);
      node.dot.addEventListener("pointerup", () => node.dot.removeEventListener("pointermove", move), { once: true });
    });
  });
  settle(300);
})();
