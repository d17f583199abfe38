"use strict";
// Curves on canvases that share one x range, one crosshair and one smoothing. What a chart is told: a title, a number format
// and its series; a series is {run, x(axis) -> Float64Array, y: Float32Array, points: true for few, marked values}.

window.addEventListener("error", (event) => {
  document.documentElement.dataset.scriptError = `${event.message} (${event.lineno}:${event.colno})`;
  const note = document.createElement("p");
  note.className = "chip bad";
  note.textContent = `This page's script failed: ${event.message}`;
  document.body.prepend(note);
});

function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") node.style.cssText = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return node;
}

const Numbers = (() => {
  const trim = (text) => (text.includes(".") ? text.replace(/0+$/, "").replace(/\.$/, "") : text);
  function plain(v, digits = 4) {
    if (!Number.isFinite(v)) return "–";
    if (v === 0) return "0";
    const size = Math.abs(v);
    if (size >= 1e6 || size < 1e-3) {
      const [mantissa, exponent] = v.toExponential(Math.min(2, digits - 1)).split("e");
      return `${trim(mantissa)}e${Number(exponent)}`;
    }
    return size >= 1e4 ? Math.round(v).toLocaleString("en") : v.toPrecision(digits);
  }
  function whole(v) {
    return Number.isFinite(v) ? Math.round(v).toLocaleString("en") : "–";
  }
  // What a unit is shown in: [divisor, suffix] for values up to `most`.
  const scales = {
    plain: () => [1, ""],
    count: (most) => (most >= 1e12 ? [1e12, "T"] : most >= 1e9 ? [1e9, "B"] : most >= 1e6 ? [1e6, "M"] : most >= 1e4 ? [1e3, "k"] : [1, ""]),
    percent: () => [0.01, " %"],
    ms: (most) => (most >= 120e3 ? [60e3, " min"] : most >= 1000 ? [1000, " s"] : [1, " ms"]),
    bytes: (most) => (most >= 2 ** 30 ? [2 ** 30, " GiB"] : most >= 2 ** 20 ? [2 ** 20, " MiB"] : [1024, " KiB"]),
    seconds: (most) => (most >= 172800 ? [86400, " d"] : most >= 7200 ? [3600, " h"] : most >= 120 ? [60, " min"] : [1, " s"]),
  };
  function show(v, kind) {
    if (v === null || v === undefined || !Number.isFinite(v)) return "–";
    if (kind === "plain") return plain(v);
    const [divisor, suffix] = scales[kind](Math.abs(v));
    const scaled = v / divisor;
    const size = Math.abs(scaled);
    const text = kind === "count" && divisor === 1 ? whole(scaled)
      : size >= 1000 ? whole(scaled) : size >= 100 ? scaled.toFixed(0) : size >= 10 ? scaled.toFixed(1)
      : size > 0 && size < 0.01 ? plain(scaled, 2) : scaled.toFixed(2);
    return text + suffix;
  }
  function duration(seconds) {
    if (!Number.isFinite(seconds)) return "–";
    const s = Math.round(seconds);
    if (s < 60) return `${seconds < 10 && seconds > 0 ? Number(seconds.toFixed(1)) : s} s`;
    if (s < 3600) return `${Math.floor(s / 60)} min ${String(s % 60).padStart(2, "0")} s`;
    if (s < 172800) return `${Math.floor(s / 3600)} h ${String(Math.floor(s / 60) % 60).padStart(2, "0")} min`;
    return `${Math.floor(s / 86400)} d ${Math.floor(s / 3600) % 24} h`;
  }
  // Round values in [low, high], about `count` of them; round in the unit that `kind` is shown in.
  function ticks(low, high, count, kind = "plain") {
    const unit = scales[kind](Math.max(Math.abs(low), Math.abs(high)))[0];
    const inUnit = roundTicks(low / unit, high / unit, count);
    return { values: inUnit.values.map((v) => v * unit), step: inUnit.step * unit };
  }
  function roundTicks(low, high, count) {
    const raw = (high - low) / Math.max(1, count);
    if (!(raw > 0)) return { values: [low], step: 1 };
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = power * ([1, 2, 2.5, 5, 10].find((m) => m * power >= raw * 0.999) || 10);
    const values = [];
    for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++) values.push(k * step);
    return { values, step };
  }
  function logTicks(low, high, count, kind) {
    const decades = Math.log10(high / low);
    if (decades < 0.7) return ticks(low, high, count, kind).values.filter((v) => v > 0);
    const steps = decades <= 1.6 ? [1, 2, 3, 5] : decades <= 3 ? [1, 3] : [1];
    const every = Math.max(1, Math.ceil(decades / Math.max(2, count)));
    const values = [];
    for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e++) {
      if (steps.length === 1 && e % every !== 0) continue;
      for (const m of steps) if (m * 10 ** e >= low && m * 10 ** e <= high) values.push(m * 10 ** e);
    }
    return values;
  }
  function tickText(v, step, kind, most) {
    const [divisor, suffix] = scales[kind](most);
    const scaled = v / divisor;
    if (scaled === 0) return "0";
    const fine = Math.abs(step / divisor);
    if (kind === "plain" && (Math.abs(most) < 1e-3 || Math.abs(most) >= 1e6)) return plain(v, 3);
    const decimals = Math.max(0, Math.min(8, Math.ceil(-Math.log10(fine) - 1e-9)));
    const needs = Math.abs(fine * 10 ** decimals - Math.round(fine * 10 ** decimals)) > 1e-6 ? decimals + 1 : decimals;
    return scaled.toLocaleString("en", { minimumFractionDigits: needs, maximumFractionDigits: needs }) + suffix;
  }
  return { plain, whole, show, duration, ticks, logTicks, tickText };
})();

function decode(text, Type) {
  if (Uint8Array.fromBase64) return new Type(Uint8Array.fromBase64(text).buffer);
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return new Type(bytes.buffer);
}

// The first index whose x is >= value.
function lowerBound(xs, value) {
  let low = 0, high = xs.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (xs[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

function nearest(xs, value) {
  const i = lowerBound(xs, value);
  if (i === 0) return 0;
  if (i === xs.length) return i - 1;
  return value - xs[i - 1] <= xs[i] - value ? i - 1 : i;
}

// Exponential moving average without the pull of its start; gaps stay gaps.
function smoothed(ys, weight) {
  const out = new Float32Array(ys.length);
  let sum = 0, mass = 0;
  for (let i = 0; i < ys.length; i++) {
    const y = ys[i];
    if (y === y) {
      sum = weight * sum + (1 - weight) * y;
      mass = weight * mass + (1 - weight);
      out[i] = sum / mass;
    } else {
      out[i] = NaN;
    }
  }
  return out;
}

// What all charts share.
class View {
  constructor() {
    this.axis = "step";
    this.from = null;  // zoomed range; null: everything
    this.to = null;
    this.weight = 0;   // of the smoothing
    this.hover = null; // x under the crosshair
    this.drag = null;  // [x, x] that is being selected
    this.hidden = new Set();
    this.charts = [];
    this.onchange = () => {};
    this.paper = null; // an element with the colours of paper, while the page is being printed
    window.addEventListener("beforeprint", () => this.print(true));
    window.addEventListener("afterprint", () => this.print(false));
    window.matchMedia("print").addEventListener("change", (event) => this.print(event.matches));
    const dark = window.matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", () => this.redraw());
    window.addEventListener("resize", () => this.redraw());
    this.observer = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        entry.target.chart.visible = entry.isIntersecting;
        if (entry.isIntersecting) entry.target.chart.schedule();
      }
    }, { rootMargin: "300px" });
  }
  redraw() {
    for (const chart of this.charts) {
      chart.stale = true;
      chart.schedule();
    }
    this.onchange();
  }
  // Paper shows every chart, none of which may have been near the screen yet.
  print(on) {
    if (on === (this.paper !== null)) return;
    if (on) {
      this.paper = element("div", { class: "paper", hidden: true });
      document.body.append(this.paper);
      this.hover = this.drag = this.over = null;
      for (const chart of this.charts) {
        chart.stale = true;
        chart.draw();
      }
    } else {
      this.paper.remove();
      this.paper = null;
      this.redraw();
    }
  }
  rehover() {
    for (const chart of this.charts) chart.schedule();
  }
  zoom(from, to) {
    this.from = from;
    this.to = to;
    this.hover = null;
    this.redraw();
  }
  shows(series) {
    return !this.hidden.has(series.run);
  }
  // [low, high] of x over everything that is shown.
  extent() {
    let low = Infinity, high = -Infinity;
    for (const chart of this.charts) {
      for (const series of chart.series) {
        if (!this.shows(series)) continue;
        const xs = series.x(this.axis);
        if (xs.length === 0) continue;
        low = Math.min(low, xs[0]);
        high = Math.max(high, xs[xs.length - 1]);
      }
    }
    if (!(high >= low)) return [0, 1];
    return high > low ? [low, high] : [low - 0.5, high + 0.5];
  }
  range() {
    return this.from === null ? this.extent() : [this.from, this.to];
  }
  axisKind() {
    return { step: "count", tokens: "count", time: "seconds" }[this.axis];
  }
  axisText(x) {
    if (this.axis === "step") return `step ${Numbers.whole(x)}`;
    if (this.axis === "tokens") return `${Numbers.show(x, "count")} tokens`;
    return Numbers.duration(x);
  }
}

class Chart {
  // options: {title, kind, series, zero: the y axis begins at 0, log: may be logarithmic, smooth: noisy, skipped: {run: steps},
  //           starts: {run: steps}, names: of the runs, tall}
  constructor(view, options) {
    Object.assign(this, { view, ...options });
    this.isLog = false;
    this.isWide = false;
    this.stale = true;
    this.visible = false;
    this.value = element("span", { class: "chart-value" });
    this.logButton = options.log
      ? element("button", { type: "button", class: "chart-log", "aria-pressed": "false", title: "Logarithmic scale",
          onclick: () => this.setLog(!this.isLog) }, "log")
      : null;
    this.canvas = element("canvas", { role: "img", "aria-label": options.title });
    this.overlay = element("canvas", { "aria-hidden": "true" });
    this.tip = element("div", { class: "tip", hidden: true });
    this.plot = element("div", { class: "plot" + (options.tall ? " tall" : "") }, this.canvas, this.overlay, this.tip);
    this.node = element("figure", { class: "chart card" },
      element("figcaption", {}, element("span", { class: "chart-title" }, options.title), this.value, this.logButton), this.plot);
    this.node.chart = this;
    view.charts.push(this);
    view.observer.observe(this.node);
    this.listen();
  }

  // Takes a row of its own.
  widen() {
    this.isWide = true;
    this.node.classList.add("wide");
  }

  setLog(on) {
    this.isLog = on;
    this.logButton.setAttribute("aria-pressed", String(on));
    this.stale = true;
    this.schedule();
  }

  schedule() {
    if (!this.visible || this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => {
      this.pending = false;
      this.draw();
      if (!document.documentElement.dataset.firstDraw)
        document.documentElement.dataset.firstDraw = performance.now().toFixed(0);
    });
  }

  shown() {
    return this.series.filter((series) => this.view.shows(series) && series.y.length > 0);
  }

  lineOf(series) {
    const weight = this.smooth && !series.points ? this.view.weight : 0;
    if (weight === 0) return series.y;
    if (series.weight !== weight) {
      series.weight = weight;
      series.average = smoothed(series.y, weight);
    }
    return series.average;
  }

  yRange(windows) {
    let low = Infinity, high = -Infinity;
    for (const { series, begin, end } of windows) {
      for (let i = begin; i < end; i++) {
        const y = series.y[i];
        if (y < low && (!this.isLog || y > 0)) low = y;
        if (y > high) high = y;
      }
    }
    if (!(high >= low) || (this.isLog && !(high > 0))) return this.isLog ? [0.1, 1] : [0, 1];
    if (this.isLog) {
      const pad = Math.max(1.02, (high / low) ** 0.05);
      return [low / pad, high * pad];
    }
    if (this.zero && low >= 0) return [0, high > 0 ? high * 1.06 : 1];
    const pad = high > low ? (high - low) * 0.06 : Math.abs(high) * 0.05 || 0.5;
    return [low >= 0 ? Math.max(0, low - pad) : low - pad, high + pad];
  }

  draw() {
    if (this.stale) {
      this.stale = false;
      this.drawCurves();
    }
    this.drawHover();
  }

  // Of the plot in CSS pixels. Paper takes the picture in this shape and gives it the width that it has.
  size() {
    if (this.view.paper) return [this.isWide ? 720 : 352, this.tall ? 250 : 150];
    return [this.plot.clientWidth, this.plot.clientHeight];
  }

  drawCurves() {
    const { view } = this;
    const [width, height] = this.size();
    if (width === 0) return;
    const ratio = this.ratio = view.paper ? 3 : window.devicePixelRatio || 1;
    for (const canvas of [this.canvas, this.overlay]) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const style = getComputedStyle(view.paper || document.documentElement);
    this.color = (name) => style.getPropertyValue(name).trim();
    const c = this.canvas.getContext("2d");
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.clearRect(0, 0, width, height);
    c.font = `11px ${style.getPropertyValue("--sans")}`;

    const [x0, x1] = view.range();
    const windows = this.shown().map((series) => {
      const xs = series.x(view.axis);
      return { series, xs, begin: Math.max(0, lowerBound(xs, x0) - 1), end: Math.min(xs.length, lowerBound(xs, x1) + 1) };
    });
    // the points just outside only lead the line out of the picture
    const inside = windows.map((w) => ({ ...w, begin: lowerBound(w.xs, x0),
      end: lowerBound(w.xs, x1) + (w.xs[lowerBound(w.xs, x1)] === x1 ? 1 : 0) }));
    const [y0, y1] = this.yRange(inside.some((w) => w.end > w.begin) ? inside : windows);
    const rows = Math.max(2, Math.floor(height / 36));
    const tick = this.isLog ? { values: Numbers.logTicks(y0, y1, rows, this.kind), step: 0 } : Numbers.ticks(y0, y1, rows, this.kind);
    const most = Math.max(Math.abs(y0), Math.abs(y1));
    const texts = tick.values.map((v) => (this.isLog ? Numbers.show(v, this.kind).replace(/(\.\d*?)0+(?=\D|$)/, "$1").replace(/\.(?=\D|$)/, "")
      : Numbers.tickText(v, tick.step, this.kind, most)));
    const left = Math.ceil(Math.max(24, ...texts.map((t) => c.measureText(t).width))) + 8;
    const box = this.box = { left, right: width - 10, top: 8, bottom: height - 22 };
    const X = this.X = (x) => box.left + (x - x0) / (x1 - x0) * (box.right - box.left);
    const Y = this.Y = this.isLog
      ? (y) => box.bottom - Math.log(y / y0) / Math.log(y1 / y0) * (box.bottom - box.top)
      : (y) => box.bottom - (y - y0) / (y1 - y0) * (box.bottom - box.top);

    // grid and names
    c.strokeStyle = this.color("--line");
    c.fillStyle = this.color("--soft");
    c.lineWidth = 1;
    c.textAlign = "right";
    c.textBaseline = "middle";
    tick.values.forEach((v, i) => {
      const y = Math.round(Y(v)) + 0.5;
      c.beginPath();
      c.moveTo(box.left, y);
      c.lineTo(box.right, y);
      c.stroke();
      c.fillText(texts[i], box.left - 7, y);
    });
    c.textBaseline = "alphabetic";
    const kind = view.axisKind();
    let xTick = Numbers.ticks(x0, x1, Math.max(2, Math.min(8, (box.right - box.left) / 90)), kind);
    if (view.axis === "step" && xTick.step < 1) xTick = { values: xTick.values.filter((v) => Number.isInteger(v)), step: 1 };
    let free = -Infinity;
    for (const v of xTick.values) {
      const text = Numbers.tickText(v, xTick.step, kind, Math.max(Math.abs(x0), Math.abs(x1)));
      const half = c.measureText(text).width / 2;
      const at = Math.min(Math.max(X(v), box.left + half - 6), width - half - 1);
      if (at - half < free) continue;
      free = at + half + 10;
      c.textAlign = "center";
      c.fillText(text, at, height - 6);
    }

    c.save();
    c.beginPath();
    c.rect(box.left - 5, box.top - 5, box.right - box.left + 10, box.bottom - box.top + 6);
    c.clip();
    for (const [run, steps] of Object.entries(this.starts || {})) this.verticals(c, Number(run), steps);
    for (const w of windows) this.drawSeries(c, w);
    for (const [run, steps] of Object.entries(this.skipped || {})) this.rug(c, Number(run), steps);
    c.restore();
    if (windows.length === 0) {
      c.textAlign = "center";
      c.fillText("every run is hidden", (box.left + box.right) / 2, (box.top + box.bottom) / 2);
    }
  }

  // Where a run went on.
  verticals(c, run, steps) {
    if (this.view.hidden.has(run)) return;
    c.save();
    c.strokeStyle = this.color("--faint");
    c.setLineDash([2, 4]);
    for (const step of steps) {
      const x = Math.round(this.X(this.atStep(run, step))) + 0.5;
      c.beginPath();
      c.moveTo(x, this.box.top);
      c.lineTo(x, this.box.bottom);
      c.stroke();
    }
    c.restore();
  }

  // Steps that changed nothing: marks at the foot.
  rug(c, run, steps) {
    if (this.view.hidden.has(run)) return;
    c.fillStyle = this.color("--bad");
    let before = -Infinity;
    for (const step of steps) {
      const x = Math.round(this.X(this.atStep(run, step)));
      if (x - before < 2) continue;
      before = x;
      c.beginPath();
      c.moveTo(x, this.box.bottom - 7);
      c.lineTo(x + 4, this.box.bottom);
      c.lineTo(x - 4, this.box.bottom);
      c.fill();
    }
  }

  // A step on the axis that is shown.
  atStep(run, step) {
    const series = this.series.find((s) => s.run === run && !s.points);
    if (!series || this.view.axis === "step") return step;
    const steps = series.x("step");
    return steps.length === 0 ? NaN : series.x(this.view.axis)[nearest(steps, step)];
  }

  drawSeries(c, { series, xs, begin, end }) {
    c.lineJoin = "round";
    c.strokeStyle = c.fillStyle = this.color(series.color);
    const line = this.lineOf(series);
    if (line !== series.y) {
      c.globalAlpha = this.shown().length > 2 ? 0.18 : 0.26;
      c.lineWidth = 1;
      this.trace(c, xs, series.y, begin, end);
      c.globalAlpha = 1;
    }
    const noisy = this.smooth && line === series.y && end - begin > this.box.right - this.box.left;
    c.lineWidth = noisy ? 1 : 1.6;
    if (series.points) c.setLineDash([5, 3]);
    this.trace(c, xs, line, begin, end);
    c.setLineDash([]);
    if (series.points || end - begin <= 24) {
      const few = end - begin <= 120;
      for (let i = begin; few && i < end; i++) {
        if (line[i] !== line[i] || (this.isLog && line[i] <= 0)) continue;
        c.beginPath();
        c.arc(this.X(xs[i]), this.Y(line[i]), series.points ? 3.2 : 2, 0, 7);
        if (series.points) {
          c.fillStyle = this.color("--card");
          c.fill();
          c.stroke();
        } else {
          c.fill();
        }
      }
    }
  }

  // The line through (xs, ys). Where many points share a pixel it goes through the first, the lowest, the highest and the last of
  // them: spikes stay.
  trace(c, xs, ys, begin, end) {
    const { X, Y } = this;
    c.beginPath();
    const bad = this.isLog ? (y) => !(y > 0) : (y) => y !== y;
    if (end - begin < 3 * (this.box.right - this.box.left)) {
      let open = false;
      for (let i = begin; i < end; i++) {
        const y = ys[i];
        if (bad(y)) {
          open = false;
          continue;
        }
        if (open) c.lineTo(X(xs[i]), Y(y));
        else c.moveTo(X(xs[i]), Y(y));
        if (!open && (i + 1 === end || bad(ys[i + 1]))) c.lineTo(X(xs[i]) + 0.8, Y(y));  // a point by itself
        open = true;
      }
      c.stroke();
      return;
    }
    let open = false, column = null, low = 0, high = 0, last = 0;
    const close = () => {
      if (column === null) return;
      c.lineTo(column, Y(low));
      c.lineTo(column, Y(high));
      c.lineTo(column, Y(last));
      column = null;
    };
    for (let i = begin; i < end; i++) {
      const y = ys[i];
      if (bad(y)) {
        close();
        open = false;
        continue;
      }
      const at = Math.round(2 * X(xs[i])) / 2;
      if (at !== column) {
        close();
        if (open) c.lineTo(at, Y(y));
        else c.moveTo(at, Y(y));
        open = true;
        column = at;
        low = high = y;
      }
      if (y < low) low = y;
      if (y > high) high = y;
      last = y;
    }
    close();
    c.stroke();
  }

  // Values at the crosshair, or the latest ones.
  drawHover() {
    const { view, box } = this;
    if (!box) return;
    const c = this.overlay.getContext("2d");
    c.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    c.clearRect(0, 0, this.overlay.width, this.overlay.height);
    if (view.drag) {
      const [a, b] = view.drag.map((x) => Math.min(Math.max(this.X(x), box.left), box.right));
      c.fillStyle = this.color("--accent");
      c.globalAlpha = 0.14;
      c.fillRect(Math.min(a, b), box.top, Math.abs(b - a), box.bottom - box.top);
      c.globalAlpha = 1;
    }
    const [x0, x1] = view.range();
    const at = view.hover !== null && view.hover >= x0 && view.hover <= x1 ? view.hover : null;
    const lines = [];
    for (const series of this.shown()) {
      const xs = series.x(view.axis);
      if (xs.length === 0) continue;
      const i = at === null ? xs.length - 1 : nearest(xs, at);
      const distance = at === null ? 0 : Math.abs(this.X(xs[i]) - this.X(at));
      const far = series.points ? distance > 10 : distance > 24 && (at < xs[0] || at > xs[xs.length - 1]);
      if (far) continue;
      lines.push({ series, i, x: xs[i], y: series.y[i], line: this.lineOf(series)[i] });
    }
    if (at !== null) {
      const first = lines.find((l) => !l.series.points) || lines[0];
      const px = Math.round(this.X(first ? first.x : at)) + 0.5;
      c.strokeStyle = this.color("--faint");
      c.lineWidth = 1;
      c.beginPath();
      c.moveTo(px, box.top);
      c.lineTo(px, box.bottom);
      c.stroke();
      for (const l of lines) {
        if (!Number.isFinite(l.line) || (this.isLog && l.line <= 0)) continue;
        c.fillStyle = this.color(l.series.color);
        c.beginPath();
        c.arc(this.X(l.x), this.Y(l.line), 3.5, 0, 7);
        c.fill();
      }
    }
    const own = lines.filter((l) => !l.series.points);
    this.value.textContent = own.length === 1 ? Numbers.show(own[0].y, this.kind) : "";
    this.fillTip(at !== null && view.over === this && !view.drag ? lines : []);
  }

  fillTip(lines) {
    this.tip.hidden = lines.length === 0;
    if (this.tip.hidden) return;
    const first = lines.find((l) => !l.series.points) || lines[0];
    const step = first.series.x("step")[first.i];
    const head = `step ${Numbers.whole(step)}` + (this.view.axis === "step" ? "" : ` · ${this.view.axisText(first.x)}`);
    this.tip.replaceChildren(element("div", { class: "tip-head" }, head), ...lines.map((l) =>
      element("div", { class: "tip-row" },
        element("i", { style: `background:var(${l.series.color})`, class: l.series.points ? "ring" : null }),
        element("span", {}, l.series.label),
        element("b", {}, Numbers.show(l.y, this.kind)),
        l.line !== l.y && Number.isFinite(l.line) ? element("span", { class: "muted" }, `~ ${Numbers.show(l.line, this.kind)}`) : null)));
    const px = this.X(first.x);
    const width = this.tip.offsetWidth;
    const rightOf = px + 14 + width < this.plot.clientWidth;
    this.tip.style.left = `${rightOf ? px + 14 : Math.max(0, px - 14 - width)}px`;
    this.tip.style.top = `${this.box.top + 2}px`;
  }

  listen() {
    const { view, plot } = this;
    const xOf = (event) => {
      const { left, right } = this.box;
      const px = Math.min(Math.max(event.clientX - plot.getBoundingClientRect().left, left), right);
      const [x0, x1] = view.range();
      return x0 + (px - left) / (right - left) * (x1 - x0);
    };
    let from = null, fromPixel = 0, tapped = 0;
    plot.addEventListener("pointerdown", (event) => {
      if (!this.box || event.button !== 0) return;
      from = xOf(event);
      fromPixel = event.clientX;
      view.over = this;
      view.hover = from;
      plot.setPointerCapture(event.pointerId);
      view.rehover();
    });
    plot.addEventListener("pointermove", (event) => {
      if (!this.box) return;
      view.over = this;
      view.hover = xOf(event);
      view.drag = from !== null && Math.abs(event.clientX - fromPixel) > 6 ? [from, view.hover] : null;
      view.rehover();
    });
    plot.addEventListener("pointerup", (event) => {
      const drag = view.drag;
      from = null;
      view.drag = null;
      if (drag) {
        const [a, b] = drag[0] < drag[1] ? drag : [drag[1], drag[0]];
        if (b > a) view.zoom(a, b);
        return;
      }
      if (event.pointerType === "touch") {  // no dblclick on every phone
        if (event.timeStamp - tapped < 350) view.zoom(null, null);
        tapped = event.timeStamp;
      }
    });
    const leave = () => {
      from = null;
      view.drag = null;
      view.rehover();
    };
    plot.addEventListener("pointercancel", leave);
    plot.addEventListener("pointerleave", (event) => {
      if (event.pointerType === "touch") return;  // the values of a tap stay
      view.hover = null;
      view.over = null;
      leave();
    });
    plot.addEventListener("dblclick", () => view.zoom(null, null));
  }
}
