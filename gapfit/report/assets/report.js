"use strict";
// Marks of figures: told when pointed at, hidden by the legend, enlarged by a rectangle.
(() => {
  const data = JSON.parse(document.getElementById("marks").textContent);
  const tip = document.getElementById("tip");
  const NEAR = 14; // pixels of the screen
  let current = null; // [figure, marks, number] that is told of

  const text = (column, n) =>
    column && column.texts ? data.texts[column.texts[n]] : column && column[n];
  const shown = (value) =>
    typeof value === "number" ? String(value).replace("-", "\u2212") : "?";

  function told(own, n) {
    if (own.t) return text(own.t, n);
    const unit = data.units[own.k];
    const axis = own.k === "energy" ? "eV/atom" : unit;
    const lines = [text(own.f, n), text(own.c, n)];
    if (own.i) lines.push(text(own.i, n));
    if (own.r) {
      lines.push(`reference ${shown(own.r[n])} ${axis}`);
      lines.push(`predicted ${shown(own.p[n])} ${axis}`);
    }
    lines.push(`error ${shown(own.e[n])} ${unit}`);
    if (own.s && own.s[n] !== null) lines.push(`std ${shown(own.s[n])} ${unit}`);
    return lines.join("\n");
  }

  class Figure {
    constructor(element, marks) {
      this.element = element;
      this.svg = element.querySelector("svg");
      this.prefix = `${element.dataset.figure}-`;
      this.marks = marks;
      this.off = new Set();
      this.whole = this.svg.getAttribute("viewBox");
      this.scale = 1;
      this.order = null;
      this.at = -1;
      this.ring = this.shape("circle", "ring");
      this.ring.setAttribute("r", 5);
      this.ring.style.display = "none";
      this.listen();
      this.prepareLegend();
    }

    shape(tag, kind) {
      const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
      made.setAttribute("class", kind);
      this.svg.append(made);
      return made;
    }

    listen() {
      const on = (name, act) => this.element.addEventListener(name, act);
      on("pointermove", (event) => this.move(event));
      on("pointerdown", (event) => this.press(event));
      on("pointerup", () => this.release());
      on("pointerleave", () => { this.cancel(); this.leave(); });
      on("dblclick", () => this.reset());
      on("blur", () => this.leave());
      on("keydown", (event) => this.key(event));
    }

    // Coordinates of the drawing, and how many pixels of the screen one of it has.
    place(event) {
      const matrix = this.svg.getScreenCTM();
      const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse());
      return { x: at.x, y: at.y, pixels: matrix.a };
    }

    nearest(x, y, reach) {
      let best = null;
      let least = reach * reach;
      this.marks.forEach((own) => {
        if (this.off.has(own.entry)) return;
        for (let n = 0; n < own.x.length; n++) {
          const d = (own.x[n] - x) ** 2 + (own.y[n] - y) ** 2;
          if (d < least) { least = d; best = [own, n]; }
        }
      });
      return best;
    }

    move(event) {
      const { x, y, pixels } = this.place(event);
      if (this.start) { this.stretch(x, y); return; }
      const found = this.nearest(x, y, NEAR / pixels);
      if (found) this.show(...found); else this.leave();
    }

    show(own, n) {
      current = [this, own, n];
      this.ring.setAttribute("cx", own.x[n]);
      this.ring.setAttribute("cy", own.y[n]);
      this.ring.style.display = "";
      tip.textContent = told(own, n);
      tip.hidden = false;
      const at = new DOMPoint(own.x[n], own.y[n]).matrixTransform(this.svg.getScreenCTM());
      const box = tip.getBoundingClientRect();
      const right = at.x + 14 + box.width < document.documentElement.clientWidth;
      const left = right ? at.x + 14 : Math.max(4, at.x - 14 - box.width);
      const top = Math.min(Math.max(4, at.y - box.height - 10), innerHeight - box.height - 4);
      tip.style.left = `${left}px`;
      tip.style.top = `${top}px`;
      tip.style.visibility = at.y < 0 || at.y > innerHeight ? "hidden" : "";
    }

    leave() {
      if (current && current[0] === this) current = null;
      this.ring.style.display = "none";
      tip.hidden = true;
    }

    // Arrow keys go through the marks, those with the largest errors first.
    key(event) {
      if (event.key === "Escape") { this.reset(); this.leave(); return; }
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step || event.target !== this.element) return;
      if (!this.order) {
        this.order = this.marks.flatMap((own) => own.x.map((_, n) => [own, n]));
        const size = ([own, n]) => (own.e ? Math.abs(own.e[n]) / own.worst : 0);
        this.marks.forEach((own) => {
          const same = this.marks.filter((other) => other.e && other.k === own.k);
          own.worst = Math.max(1e-300, ...same.flatMap((other) => other.e.map(Math.abs)));
        });
        this.order.sort((a, b) => size(b) - size(a));
      }
      const seen = this.order.filter(([own]) => !this.off.has(own.entry));
      if (!seen.length) return;
      this.at = (this.at + step + seen.length) % seen.length;
      event.preventDefault();
      this.show(...seen[this.at]);
    }

    prepareLegend() {
      const entries = new Map();
      this.svg.querySelectorAll(`[id^="${this.prefix}legend."]`).forEach((part) => {
        const entry = Number(part.id.slice(this.prefix.length).split(".")[1]);
        entries.set(entry, [...(entries.get(entry) || []), part]);
      });
      // Children of an image would be hidden from screen readers.
      if (entries.size) this.svg.setAttribute("role", "group");
      entries.forEach((parts, entry) => {
        const label = parts[parts.length - 1];
        label.setAttribute("role", "button");
        label.setAttribute("tabindex", "0");
        label.setAttribute("aria-pressed", "true");
        parts.forEach((part) => {
          part.classList.add("legend");
          part.addEventListener("click", () => this.toggle(entry, parts, label));
        });
        label.addEventListener("keydown", (event) => {
          if (event.key !== "Enter" && event.key !== " ") return;
          event.preventDefault();
          this.toggle(entry, parts, label);
        });
      });
    }

    toggle(entry, parts, label) {
      const hide = !this.off.has(entry);
      if (hide) this.off.add(entry); else this.off.delete(entry);
      parts.forEach((part) => part.classList.toggle("off", hide));
      label.setAttribute("aria-pressed", String(!hide));
      this.svg.querySelectorAll(`[id^="${this.prefix}marks.${entry}."]`)
        .forEach((group) => group.classList.toggle("hidden", hide));
      this.leave();
    }

    press(event) {
      if (event.pointerType !== "mouse" || event.button || event.target.closest(".legend, .zoom")) return;
      event.preventDefault();
      this.element.focus({ preventScroll: true });
      this.start = this.place(event);
      this.area = null;
    }

    stretch(x, y) {
      const { start } = this;
      const [w, h] = [Math.abs(x - start.x), Math.abs(y - start.y)];
      if (!this.area && Math.max(w, h) * start.pixels < 8) return;
      this.leave();
      this.area = this.area || this.shape("rect", "area");
      const box = { x: Math.min(x, start.x), y: Math.min(y, start.y), width: w, height: h };
      Object.entries(box).forEach(([key, value]) => this.area.setAttribute(key, value));
    }

    release() {
      const { area } = this;
      if (area) {
        const [x, y, w, h] = ["x", "y", "width", "height"].map((key) => Number(area.getAttribute(key)));
        if (w > 2 && h > 2) this.zoom(x, y, w, h);
      }
      this.cancel();
    }

    cancel() {
      if (this.area) this.area.remove();
      this.start = this.area = null;
    }

    // The page keeps its layout: the rectangle grows to the shape of the figure.
    zoom(x, y, w, h) {
      const [, , width, height] = this.whole.split(" ").map(Number);
      const part = Math.max(w / width, h / height);
      const [cx, cy] = [x + w / 2, y + h / 2];
      this.look([cx - part * width / 2, cy - part * height / 2, part * width, part * height].join(" "), part);
      if (this.button) return;
      this.button = document.createElement("button");
      this.button.className = "zoom";
      this.button.type = "button";
      this.button.textContent = "whole figure";
      this.button.addEventListener("click", () => this.reset());
      this.element.append(this.button);
    }

    reset() {
      this.look(this.whole, 1);
      if (this.button) this.button.remove();
      this.button = null;
    }

    look(box, scale) {
      this.svg.setAttribute("viewBox", box);
      this.svg.classList.toggle("near", scale < 1);
      // Marks keep their size, so that those in a heap come apart.
      this.svg.querySelectorAll("defs path[id]").forEach((path) =>
        path.setAttribute("transform", `scale(${scale})`));
      this.ring.setAttribute("r", 5 * scale);
      this.ring.style.strokeWidth = 1.3 * scale;
      this.leave();
    }
  }

  document.querySelectorAll("figure[data-figure]").forEach((element) => {
    const marks = data.figures[element.dataset.figure];
    if (marks) new Figure(element, marks);
  });
  const follow = () => { if (current) current[0].show(current[1], current[2]); };
  addEventListener("scroll", follow, { passive: true, capture: true });
  addEventListener("resize", follow);

  const closed = [];
  addEventListener("beforeprint", () => {
    document.querySelectorAll("details:not([open])").forEach((own) => {
      closed.push(own);
      own.open = true;
    });
  });
  addEventListener("afterprint", () => {
    closed.splice(0).forEach((own) => { own.open = false; });
  });
})();
