"use strict";
// Builds the page from the numbers and texts in #page-data. Texts from outside become text nodes, never HTML.
(() => {
  const data = JSON.parse(document.getElementById("page-data").textContent);
  const several = data.runs.length > 1;
  const view = new View();
  const kept = keptState();
  view.axis = kept.axis || view.axis;
  const runs = data.runs.map((raw, index) => new Run(raw, index));

  // ---- numbers of a run ----

  function lazyColumns(packed) {
    const steps = decode(packed.steps, Float64Array);
    const cache = new Map();
    return {
      steps,
      names: Object.keys(packed.columns),
      column(name) {
        if (!cache.has(name)) {
          const text = packed.columns[name];
          cache.set(name, text === undefined ? new Float32Array(0) : decode(text, Float32Array));
        }
        return cache.get(name);
      },
    };
  }

  function Run(raw, index) {
    this.raw = raw;
    this.index = index;
    this.name = raw.name;
    this.color = `--run-${index % 8}`;
    this.train = lazyColumns(raw.train);
    this.evaluation = lazyColumns(raw.evaluation);
    this.start = raw.journal.start;
    const axes = { step: this.train.steps };
    // A logged row stands for all steps since the one before it.
    const summed = (name, scale) => {
      const steps = this.train.steps, values = this.train.column(name), out = new Float64Array(steps.length);
      let sum = 0;
      for (let i = 0; i < steps.length; i++) {
        const gap = steps[i] - (i > 0 ? steps[i - 1] : 0);
        sum += (values[i] === values[i] ? values[i] : 0) * gap * scale;
        out[i] = sum;
      }
      return out;
    };
    this.x = (axis) => axes[axis] || (axes[axis] = axis === "tokens" ? summed("tokens", 1) : summed("step_ms", 1e-3));
    const evaluationAxes = { step: this.evaluation.steps };
    this.evaluationX = (axis) => {
      if (!evaluationAxes[axis]) {
        const steps = this.train.steps, along = this.x(axis);
        evaluationAxes[axis] = Float64Array.from(this.evaluation.steps, (step) => {
          const i = lowerBound(steps, step + 0.5);
          return i === 0 ? 0 : along[i - 1];
        });
      }
      return evaluationAxes[axis];
    };
    // The mean of the last `count` rows that have the number.
    this.recent = (name, count = 20) => {
      const values = this.train.column(name);
      let sum = 0, n = 0;
      for (let i = values.length - 1; i >= 0 && n < count; i--) {
        if (values[i] !== values[i]) continue;
        sum += values[i];
        n++;
      }
      return n === 0 ? NaN : sum / n;
    };
    this.most = (name) => {
      let most = NaN;
      for (const v of this.train.column(name)) if (!(v <= most) && v === v) most = v;
      return most;
    };
    const last = (xs) => (xs.length === 0 ? 0 : xs[xs.length - 1]);
    this.step = Math.max(last(this.train.steps), last(this.evaluation.steps));
    this.tokens = Math.max(last(this.x("tokens")), (raw.journal.data && raw.journal.data.tokens) || 0);  // the journal may lag behind
    this.seconds = last(this.x("time"));
    this.evaluations = [];
    const losses = this.evaluation.column("eval_loss");
    this.evaluation.steps.forEach((step, i) => this.evaluations.push({ step, loss: losses[i] }));
    this.total = this.start && this.start.total_steps;
    this.done = this.total ? this.step / this.total : raw.epochs && raw.epoch !== null ? raw.epoch / raw.epochs : null;
    this.state = stateOf(this);
  }

  function stateOf(run) {
    const { raw } = run;
    const end = raw.journal.end;
    if (end) {
      const kind = { finished: "good", interrupted: "warn", failed: "bad" }[end.state] || "";
      return { name: end.state, kind, text: end.text, over: true };
    }
    if (raw.running) {
      // A page that was killed with its run still says what was true when it was made.
      const age = Date.now() / 1000 - data.now;
      if (age < 900) return { name: "running", kind: "live", text: "", over: false };
      return { name: "running then", kind: "warn", over: false,
        text: `This page is ${Numbers.duration(age)} old. If the run still goes on, load it again; lmms report ${raw.folder} makes it anew.` };
    }
    if (raw.finished) return { name: "finished", kind: "good", text: "", over: true };
    const quiet = data.now - raw.last_write;
    const rows = run.train.steps.length;
    const gap = rows > 1 ? run.train.steps[rows - 1] - run.train.steps[rows - 2] : 1;
    if (raw.running === null && raw.last_write > 0 && quiet < Math.max(120, 10 * gap * (run.recent("step_ms") || 0) / 1000))
      return { name: "running", kind: "live", text: "", over: false };
    return { name: "no end recorded", kind: "warn", over: true,
      text: raw.running === null && raw.last_write > 0 ? `nothing was written for ${Numbers.duration(quiet)}: stopped, or killed` : "" };
  }

  // What survives a reload of this tab. Browsers may refuse storage to files.
  function keptState() {
    try {
      return JSON.parse(sessionStorage.getItem("lmms-report")) || {};
    } catch {
      return {};
    }
  }
  function keep(change) {
    Object.assign(kept, change);
    try {
      sessionStorage.setItem("lmms-report", JSON.stringify(kept));
    } catch { /* then it is forgotten */ }
  }

  // ---- small parts ----

  const e = element;
  const date = (seconds) => (seconds > 0 ? new Date(seconds * 1000).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" }) : "–");
  const plural = (n, one, many = one + "s") => `${Numbers.whole(n)} ${n === 1 ? one : many}`;
  const dot = (run) => e("i", { class: "dot", style: `background:var(${run.color})` });
  const number = (text) => e("td", { class: "num" }, text);

  // A path or key that may be broken behind its marks, so that no word of it need be.
  const breakable = (text) => text.replace(/[./_=,:]+(?=[^\s\d./_=,:])/g, "$&\u0000").split("\u0000").flatMap((part, i) => (i === 0 ? [part] : [e("wbr"), part]));

  function tile(name, value, small) {
    return e("div", {}, e("dt", {}, name), e("dd", {}, value, small ? [" ", e("small", {}, small)] : null));
  }

  // Rows are even: of seven tiles where six fit there are four and three.
  function tiles(list) {
    const shown = list.filter((one) => one !== null);
    const columns = (most) => Math.ceil(shown.length / Math.ceil(shown.length / most));
    return e("dl", { class: "tiles", style: `--columns:${columns(4)};--columns-wide:${columns(6)}` }, shown);
  }

  // `stack`: on a phone each row becomes a block of its own, every cell under the name of its column.
  // `brief`: into two lines, the first two cells and the others.
  function table(heads, rows, { stack = false, brief = false } = {}) {
    if (stack && heads) {
      for (const row of rows) [...row.children].forEach((cell, i) => cell.setAttribute("data-label", heads[i].replace("#", "")));
    }
    return e("div", { class: "scroll" }, e("table", { class: brief ? "stack brief" : stack ? "stack" : null },
      heads ? e("thead", {}, e("tr", {}, heads.map((h) => (h.startsWith("#") ? e("th", { class: "num" }, h.slice(1)) : e("th", {}, h))))) : null,
      e("tbody", {}, rows)));
  }

  function pairs(list) {
    return table(null, list.map(([name, text]) => e("tr", {}, e("th", { scope: "row" }, name), e("td", {}, text))));
  }

  // Many rows: the first ones, the rest behind a fold.
  function folded(heads, rows, shown, options) {
    if (rows.length <= shown + 3) return table(heads, rows, options);
    const rest = rows.length - shown;
    return [table(heads, rows.slice(0, shown), options), e("details", { style: "margin-top:0.75rem" },
      e("summary", {}, `${Numbers.whole(rest)} more`), table(heads, rows.slice(shown), options))];
  }

  function section(id, title, ...content) {
    return e("section", { id }, e("h2", {}, title), ...content);
  }

  // ---- head ----

  const metricOf = (best) => (best.metric ? ` by ${best.metric}${best.value === null ? "" : `, ${Numbers.plain(best.value)}`}` : "");

  function lossTile(run) {
    const rows = Math.min(20, run.train.steps.length);
    return tile("Loss", Numbers.plain(run.recent("loss")), rows > 1 && run.raw.train.rows_per_point === 1 ? `mean of ${rows}` : "");
  }

  function head(run) {
    const { raw } = run;
    const state = run.state;
    const starts = raw.journal.starts;
    const times = [];
    if (starts.length > 0) times.push(`started ${date(starts[0].time)}`);
    if (raw.journal.end) times.push(`${state.name} ${date(raw.journal.end.time)}`);
    else times.push(`as of ${date(state.over ? raw.last_write : data.now)}`);
    const best = run.evaluations.reduce((a, b) => (b.loss < a.loss || a.loss !== a.loss ? b : a), { loss: NaN });
    const lastEvaluation = run.evaluations[run.evaluations.length - 1];
    const lastExact = run.evaluation.column("eval_exact").reduce((a, b) => (b === b ? b : a), NaN);
    const taken = raw.journal.seconds > 0 ? raw.journal.seconds : run.seconds;
    const left = run.done > 0 && run.done < 1 ? run.seconds * (1 - run.done) / run.done : NaN;
    const shown = (name) => run.train.column(name).length > 0;
    return [
      e("header", { class: "top" }, e("h1", {}, breakable(run.name)), e("span", { class: `chip ${state.kind}` }, state.name),
        e("span", { class: "muted small" }, times.join(" · "))),
      state.text ? e("p", { class: "note", style: "margin-top:0.5rem" }, state.text) : null,
      raw.journal.end && raw.journal.end.model ? e("p", { class: "note", style: "margin-top:0.5rem" },
        `The final model is that of ${raw.journal.end.model.path}, the best${metricOf(raw.journal.end.model)}.`) : null,
      run.done !== null && !state.over ? e("div", { class: "progress", role: "progressbar", "aria-valuenow": Math.round(100 * run.done) },
        e("div", { style: `width:${Math.min(100, 100 * run.done).toFixed(2)}%` })) : null,
      tiles([
        tile("Steps", Numbers.whole(run.step), run.total && run.total > run.step ? `of ${Numbers.whole(run.total)}`
          : raw.epoch > 0 ? `${Numbers.plain(raw.epoch, 3).replace(/\.0+$/, "")} epoch${raw.epoch === 1 ? "" : "s"}` : ""),
        lossTile(run),
        lastEvaluation ? tile("Evaluation loss", Numbers.plain(lastEvaluation.loss),
          best.step !== lastEvaluation.step && best.loss === best.loss ? `best ${Numbers.plain(best.loss)}` : "") : null,
        lastExact === lastExact ? tile("Exact answers", Numbers.show(lastExact, "percent")) : null,
        shown("samples_per_second") ? tile("Samples/s", Numbers.show(run.recent("samples_per_second", 50), "count")) : null,
        shown("tokens_per_second") ? tile("Tokens/s", Numbers.show(run.recent("tokens_per_second", 50), "count")) : null,
        shown("mfu") ? tile("MFU", Numbers.show(run.recent("mfu", 50), "percent")) : null,
        shown("peak_memory_bytes") ? tile("Peak memory", Numbers.show(run.most("peak_memory_bytes"), "bytes")) : null,
        tile("Tokens trained", Numbers.show(run.tokens, "count")),
        state.over || !Number.isFinite(left) ? tile("Time taken", Numbers.duration(taken)) : tile("Time left", Numbers.duration(left), ""),
      ]),
    ];
  }

  function headOfSeveral() {
    const rows = runs.map((run) => {
      const best = Math.min(...run.evaluations.map((v) => v.loss).filter((v) => v === v));
      return e("tr", {}, e("td", { class: "run-name", title: run.raw.folder }, dot(run), run.name), e("td", {}, e("span", { class: `chip ${run.state.kind}` }, run.state.name)),
        number(Numbers.whole(run.step)), number(Numbers.plain(run.recent("loss"))), number(Numbers.plain(best)),
        number(Numbers.show(run.recent("tokens_per_second", 50), "count")), number(Numbers.show(run.recent("mfu", 50), "percent")),
        number(Numbers.show(run.tokens, "count")), number(Numbers.duration(run.seconds)));
    });
    return [
      e("header", { class: "top" }, e("h1", {}, `${runs.length} runs`), e("span", { class: "muted small" }, `as of ${date(data.now)}`)),
      e("div", { class: "card", style: "margin-top:1.5rem" },
        table(["Run", "State", "#Steps", "#Loss", "#Best evaluation", "#Tokens/s", "#MFU", "#Tokens", "#Training time"], rows, { stack: true })),
    ];
  }

  // ---- curves ----

  const kCharts = [
    { name: "loss", title: "Loss", kind: "plain", log: true, smooth: true, tall: true },
    { name: "eval_exact", title: "Exact answers", kind: "percent", zero: true, evaluation: true },
    { name: "learning_rate", title: "Learning rate", kind: "plain", log: true, zero: true },
    { name: "grad_norm", title: "Gradient norm", kind: "plain", log: true, smooth: true },
    { name: "samples_per_second", title: "Samples per second", kind: "count", zero: true, smooth: true },
    { name: "tokens_per_second", title: "Tokens per second", kind: "count", zero: true, smooth: true },
    { name: "mfu", title: "MFU", kind: "percent", zero: true, smooth: true },
    { name: "step_ms", title: "Step time", kind: "ms", zero: true, log: true, smooth: true },
    { name: "data_wait_ms", title: "Waiting for data", kind: "ms", zero: true, log: true, smooth: true },
    { name: "peak_memory_bytes", title: "Peak memory", kind: "bytes", zero: true },
    { name: "tokens", title: "Tokens a step", kind: "count", zero: true, smooth: true },
  ];

  const hasNumbers = (values) => values.some((v) => v === v);

  function seriesOf(name) {
    return runs.filter((run) => hasNumbers(run.train.column(name)))
      .map((run) => ({ run: run.index, color: run.color, label: several ? run.name : "training", x: run.x, y: run.train.column(name) }));
  }

  function evaluationSeries(name = "eval_loss") {
    return runs.filter((run) => hasNumbers(run.evaluation.column(name))).map((run) => ({
      run: run.index, color: several ? run.color : "--run-1", label: several ? `${run.name}, evaluation` : "evaluation", points: true,
      x: run.evaluationX, y: run.evaluation.column(name) }));
  }

  // Of weights with a learning rate of their own.
  const kGroupRate = "learning_rate/";

  function groupRates() {
    return runs.flatMap((run) => run.train.names.filter((name) => name.startsWith(kGroupRate)).map((name, i) => ({
      run: run.index, color: several ? run.color : `--run-${(i + 1) % 8}`,
      label: (several ? `${run.name}, ` : "") + name.slice(kGroupRate.length), x: run.x, y: run.train.column(name) })));
  }

  function curves() {
    const known = new Set(kCharts.map((chart) => chart.name));
    const terms = new Set(runs.flatMap((run) => run.train.names).filter((name) => !known.has(name) && !name.startsWith(kGroupRate)));
    const list = [kCharts[0], ...[...terms].map((name) => ({ name, title: name, kind: "plain", log: true, smooth: true })), ...kCharts.slice(1)];
    const starts = Object.fromEntries(runs.map((run) => [run.index, run.raw.journal.starts.map((s) => s.step).filter((step) => step > 0)]));
    const skipped = Object.fromEntries(runs.map((run) => [run.index, run.raw.skipped_steps]));
    const charts = [];
    for (const chart of list) {
      const series = chart.evaluation ? evaluationSeries(chart.name) : seriesOf(chart.name);
      const isLoss = chart.name === "loss";
      if (isLoss) series.push(...evaluationSeries());
      if (chart.name === "learning_rate" && groupRates().length > 0) {
        if (!several) series[0].label = "other weights";
        series.push(...groupRates());
      }
      if (series.length === 0) continue;
      charts.push(new Chart(view, { ...chart, series, starts, skipped: isLoss ? skipped : {} }));
      if (isLoss) charts[charts.length - 1].widen();
    }
    if (charts.length > 1 && (charts.length - charts[0].isWide) % 2 === 1) charts[charts.length - 1].widen();  // none stands alone
    if (charts.length === 0) return section("curves", "Curves", e("p", { class: "note" }, "No step was logged yet."));

    const key = [];
    if (!several && evaluationSeries().length > 0) key.push(e("span", {}, e("i", { class: "swatch", style: "background:var(--run-0)" }), "training"),
      e("span", {}, e("i", { class: "swatch", style: "background:var(--run-1)" }), "evaluation"));
    const skips = runs.reduce((n, run) => n + run.raw.skipped_steps.length, 0);
    if (skips > 0) key.push(e("span", {}, e("span", { style: "color:var(--bad)" }, "▲"), `${plural(skips, "step")} skipped: loss or gradient was not finite`));
    if (Object.values(starts).some((list) => list.length > 0)) key.push(e("span", {}, "┊ the run went on from a checkpoint"));
    const set = e("p", { class: "note only-print" });  // what the tools are set to, where they are not shown
    window.addEventListener("beforeprint", () => {
      const [from, to] = view.range();
      set.textContent = `Over ${{ step: "steps", tokens: "tokens", time: "training time" }[view.axis]}` +
        (view.from === null ? "" : `, ${view.axisText(from)} to ${view.axisText(to)}`) + (view.weight === 0 ? "." : `, smoothed by ${Number(view.weight.toFixed(4))}.`);
    });
    const averaged = runs.filter((run) => run.raw.train.rows_per_point > 1);
    const notes = averaged.map((run) => `${several ? run.name + ": " : ""}${Numbers.whole(run.raw.train.rows)} rows; each point is the mean of ` +
      `${run.raw.train.rows_per_point} neighbours.`);
    const node = section("curves", "Curves", tools(), set, e("div", { class: "charts" }, charts.map((chart) => chart.node)),
      key.length > 0 ? e("div", { class: "key small muted" }, key) : null,
      notes.length > 0 ? e("p", { class: "note", style: "margin-top:0.75rem" }, notes.join(" ")) : null);
    return node;
  }

  function tools() {
    const axes = [["step", "Steps"], ["tokens", "Tokens"], ["time", "Time"]];
    const buttons = axes.map(([axis, name]) => e("button", { type: "button", "aria-pressed": String(view.axis === axis), onclick: () => {
      const steps = view.axis !== axis;
      view.axis = axis;
      keep({ axis });
      buttons.forEach((b, i) => b.setAttribute("aria-pressed", String(axes[i][0] === axis)));
      if (steps) view.zoom(null, null);
    } }, name));
    // The slider is even in how many rows weigh: 1, 10, 100, 1000.
    const many = Math.max(...runs.map((run) => run.train.steps.length));
    const slider = e("input", { type: "range", min: 0, max: 3, step: 0.05, value: kept.smoothing ?? (many > 100 ? 1 : 0), "aria-label": "smoothing" });
    const output = e("output", {});
    const smooth = () => {
      const weight = 1 - 10 ** -Number(slider.value);
      view.weight = weight < 0.01 ? 0 : weight;
      output.textContent = view.weight === 0 ? "off" : weight.toFixed(weight > 0.99 ? 4 : 2);
      view.redraw();
    };
    slider.addEventListener("input", () => {
      keep({ smoothing: Number(slider.value) });
      smooth();
    });
    const reset = e("button", { type: "button", hidden: true, onclick: () => view.zoom(null, null) }, "Whole run");
    view.onchange = () => { reset.hidden = view.from === null; };
    smooth();
    const legend = several ? e("div", { class: "legend" }, runs.map((run) => {
      const button = e("button", { type: "button", "aria-pressed": "true", title: run.raw.folder, onclick: () => {
        if (view.hidden.has(run.index)) view.hidden.delete(run.index);
        else view.hidden.add(run.index);
        button.setAttribute("aria-pressed", String(!view.hidden.has(run.index)));
        view.redraw();
      } }, e("i", { class: "swatch", style: `background:var(${run.color})` }), e("span", {}, run.name));
      return button;
    })) : null;
    return e("div", { class: "tools" }, legend, e("div", { class: "segments", role: "group", "aria-label": "x axis" }, buttons),
      e("label", {}, "Smoothing", slider, output), reset, e("span", { class: "hint" }, "Drag to zoom, double click for all"), renewal());
  }

  // While the run goes on: loads the page again, unless somebody is at it.
  function renewal() {
    if (!runs.some((run) => run.raw.running && !run.state.over)) return null;
    const box = e("input", { type: "checkbox", checked: kept.renew === true, onchange: () => keep({ renew: box.checked }) });
    setInterval(() => {
      if (box.checked && !document.hidden && view.from === null && view.hover === null) location.reload();
    }, 30000);
    return e("label", {}, box, "Load anew every 30 s");
  }

  // ---- sections of one run ----

  function evaluationSection(run) {
    if (run.evaluations.length === 0) return null;
    const best = Math.min(...run.evaluations.map((v) => v.loss).filter((v) => v === v));
    const column = (name) => run.evaluation.column(name);
    const exact = column("eval_exact"), exactly = hasNumbers(exact);
    const samples = column("eval_samples"), tokens = column("eval_supervised_tokens"), seconds = column("eval_seconds");
    const perplexity = column("eval_perplexity"), likely = hasNumbers(perplexity);  // of a loss that is no log-likelihood there is none
    const words = hasNumbers(tokens) && tokens.some((n) => n > 0);
    // What is the same every time is said once.
    const same = (values) => values.length > 0 && values.every((v) => v === values[0]);
    const fixed = same(samples) && same(tokens);
    const rows = run.evaluations.map(({ step, loss }, i) => e("tr", {}, number(Numbers.whole(step)), number(Numbers.plain(loss, 5)),
      likely ? number(Number.isFinite(perplexity[i]) ? Numbers.plain(perplexity[i]) : "–") : null, exactly ? number(Numbers.show(exact[i], "percent")) : null,
      fixed ? null : [number(Numbers.whole(samples[i])), words ? number(Numbers.whole(tokens[i])) : null],
      number(Numbers.duration(seconds[i])), e("td", {}, loss === best ? e("span", { class: "chip good" }, "best") : ""))).reverse();
    return section("evaluation", "Evaluation", e("div", { class: "card" },
      fixed ? e("p", { class: "note" }, `Over ${plural(samples[0], "sample")}${words ? ` with ${plural(tokens[0], "target token")}` : ""}.`) : null,
      folded(["#Step", "#Loss", ...(likely ? ["#Perplexity"] : []), ...(exactly ? ["#Exact"] : []), ...(fixed ? [] : ["#Samples", ...(words ? ["#Trained tokens"] : [])]), "#Time", ""], rows, 8)));
  }

  // ---- samples of a denoiser ----

  const atStep = (moment) => (moment.step === 0 ? "before training" : `step ${Numbers.whole(moment.step)}`);

  // What stands where in a grid.
  function gridText(grid) {
    const n = grid.per_class, labels = grid.labels;
    if (labels.length === 0) return n === null ? "" : plural(n, "sample");
    const classes = labels.length === 1 ? `class ${labels[0]}` : labels.length > 16 ? plural(labels.length, "class", "classes")
      : `classes ${labels.join(", ")}`;
    return n > 1 ? `${classes}, ${Numbers.whole(n)} samples each, row by row` : `${classes}, row by row`;
  }

  function samplesSection(run) {
    const grids = run.raw.journal.grids;
    if (grids.length === 0) return null;
    const shows = (grid) => grid.whole || grid.preview;
    const big = e("img", { decoding: "async" }), caption = e("figcaption", { class: "small muted" });
    const labels = e("div", { class: "labels small muted", "aria-hidden": "true" });
    const labelled = e("div", { class: "labelled" });
    const strip = e("div", { class: "strip", role: "group", "aria-label": "samples by step" });
    const slider = e("input", { type: "range", min: 0, max: grids.length - 1, step: 1, "aria-label": "step of the samples" });
    const said = e("output", {});
    const show = (index) => {
      const grid = grids[index], url = shows(grid);
      slider.value = index;
      said.textContent = atStep(grid);
      [...strip.children].forEach((button, i) => button.setAttribute("aria-pressed", String(i === index)));
      if (url !== "") big.src = url;
      labelled.replaceChildren(...(url === "" ? [] : [labels, big]));
      big.alt = `Samples at ${atStep(grid)}: ${gridText(grid)}`;
      big.classList.toggle("pixels", grid.whole === "" && grid.side !== null && grid.side <= 32);  // the file is large already
      // one class a row: its name stands beside it
      const rows = grid.labels.length > 1 && grid.labels.length <= 32 && grid.columns === grid.per_class ? grid.labels : [];
      labels.replaceChildren(...rows.map((label) => e("span", {}, label)));
      labels.hidden = rows.length === 0;
      const file = grid.there ? e("a", { href: grid.path }, grid.path) : grid.path === "" ? null : [e("code", {}, grid.path), " was deleted"];
      caption.replaceChildren(...[`${atStep(grid)[0].toUpperCase()}${atStep(grid).slice(1)}: ${gridText(grid)}`, grid.how ? `; ${grid.how}` : "",
        grid.seconds === null ? "" : `; made in ${Numbers.duration(grid.seconds)}`, ". ",
        url === "" ? "There is no picture of it. " : grid.whole === "" ? "Shown small. " : "", file].flat().filter((x) => x !== null && x !== ""));
    };
    grids.forEach((grid, i) => strip.append(e("button", { type: "button", title: atStep(grid), onclick: () => show(i) },
      grid.preview ? e("img", { src: grid.preview, alt: `Samples at ${atStep(grid)}`, decoding: "async", class: grid.side !== null && grid.side <= 32 ? "pixels" : null })
        : e("span", { class: "small muted" }, "no picture"), e("span", { class: "small" }, atStep(grid)))));
    slider.addEventListener("input", () => show(Number(slider.value)));
    show(grids.length - 1);
    window.addEventListener("beforeprint", () => show(grids.length - 1));
    const leftOut = run.raw.journal.grids_left_out;
    const node = section("samples", "Samples", e("figure", { class: "card grid" }, labelled, caption),
      grids.length > 1 ? [e("div", { class: "tools no-print", style: "position:static" }, e("label", {}, "Step", slider, said),
        leftOut > 0 ? `${plural(leftOut, "grid")} between left out` : null), strip] : null);
    requestAnimationFrame(() => { strip.scrollLeft = strip.scrollWidth; });
    return node;
  }

  // What stands for a question at every moment: its row of the evaluation set, or its text.
  const questionKey = (answer) => (answer.row === null ? `p:${answer.prompt}` : `r:${answer.row}`);

  function answersSection(run) {
    const moments = run.raw.journal.generations;
    if (moments.length === 0) return null;
    const questions = new Map();
    for (const moment of moments) {
      moment.by = new Map();
      for (const answer of moment.answers) {
        const key = questionKey(answer);
        if (!moment.by.has(key)) moment.by.set(key, answer);
        if (!questions.has(key)) questions.set(key, answer);
      }
    }
    const all = [...questions].map(([key, answer]) => ({ key, ...answer }));
    const seen = all.filter((q) => q.pictures.length > 0 || q.expected !== null).sort((a, b) => (a.row ?? 0) - (b.row ?? 0));
    const read = all.filter((q) => !seen.includes(q));
    const name = (moment) => (moment.step === 0 ? "before training" : `step ${Numbers.whole(moment.step)}`);
    const choice = (chosen) => e("select", {}, moments.map((moment, i) => e("option", { value: i, selected: i === chosen }, name(moment))));
    const left = choice(0), right = choice(moments.length - 1);
    left.setAttribute("aria-label", "answers on the left");
    right.setAttribute("aria-label", "answers on the right");
    const sides = moments.length > 1 ? [left, right] : [right];
    const moment = (side) => moments[Number(side.value)];
    const exact = e("p", { class: "note exact" }), compared = e("p", { class: "note only-print" });
    const list = e("div", {}), gallery = e("div", { class: "gallery" });
    let shown = "all";
    const counts = {};
    const filter = seen.some((q) => q.expected !== null) ? e("div", { class: "segments", role: "group", "aria-label": "which answers" },
      ["all", "right", "wrong"].map((what) => {
        counts[what] = e("button", { type: "button", "aria-pressed": String(what === "all"), onclick: () => {
          shown = what;
          for (const [other, button] of Object.entries(counts)) button.setAttribute("aria-pressed", String(other === what));
          show();
        } }, what);
        return counts[what];
      })) : null;
    const verdict = (answer) => (!answer || answer.expected === null ? "all" : answer.right ? "right" : "wrong");
    const show = () => {
      list.replaceChildren(...read.map((question) => textAnswer(question, sides.map((side) => [name(moment(side)), moment(side).by.get(question.key)]))));
      const now = moment(right);
      compared.textContent = `Answers: ${sides.map((side) => name(moment(side))).join(" and ")}.`;
      exact.textContent = now.exact && now.exact.asked > 0 ? `${name(now)}: ${Numbers.whole(now.exact.right)} of ${plural(now.exact.asked, "answer")} exact ` +
        `(${Numbers.show(now.exact.right / now.exact.asked, "percent")}). The first rows and those answered wrongly are shown.` : "";
      exact.hidden = exact.textContent === "";
      const asked = seen.filter((question) => now.by.has(question.key));
      for (const [what, button] of Object.entries(counts)) {
        const n = what === "all" ? asked.length : asked.filter((q) => verdict(now.by.get(q.key)) === what).length;
        button.textContent = `${what} ${Numbers.whole(n)}`;
      }
      gallery.replaceChildren(...asked.filter((q) => shown === "all" || verdict(now.by.get(q.key)) === shown)
        .map((question) => seenAnswer(run, question, now.by.get(question.key), moments.length > 1 && left.value !== right.value
          ? [name(moment(left)), moment(left).by.get(question.key)] : null)));
    };
    left.addEventListener("change", show);
    right.addEventListener("change", show);
    show();
    const left_out = run.raw.journal.generations_left_out;
    return section("answers", "Answers", e("div", { class: "tools no-print", style: "position:static" },
      moments.length > 1 ? ["Compare", left, "with", right] : null, filter,
      left_out > 0 ? `${plural(left_out, "moment")} between left out` : null), compared, list, exact, gallery);
  }

  function textAnswer(question, sides) {
    return e("div", { class: "card answer" }, e("pre", { class: "text prompt" }, question.prompt),
      e("div", { class: "beside" }, sides.map(([name, answer]) => e("div", {}, e("h3", {}, name), answer
        ? [e("pre", { class: "text" }, answer.answer === "" ? e("span", { class: "muted" }, "(nothing)") : answer.answer),
          e("p", { class: "small muted" }, answer.tokens === null ? "" : `${plural(answer.tokens, "token")}${answer.finished ? "" : ", cut at the limit"}`)]
        : e("p", { class: "small muted" }, "not asked")))));
  }

  // A card of the grid: pictures, the question, the answer, and what it was at another moment.
  function seenAnswer(run, question, answer, before) {
    const pictures = question.pictures.map((key) => run.raw.journal.pictures[key]).filter((url) => url !== undefined);
    const images = pictures.map((url, i) => {
      const image = e("img", { src: url, alt: `picture ${i + 1}`, decoding: "async", onload: () => image.classList.toggle("pixels", image.naturalWidth <= 32) });
      return image;
    });
    const quoted = (text) => (text === "" ? e("span", { class: "muted" }, "(nothing)") : text);
    const chip = answer.expected === null ? null : e("span", { class: `chip ${answer.right ? "good" : "bad"}` }, answer.right ? "right" : "wrong");
    return e("figure", { class: "card seen" }, images.length > 0 ? e("div", { class: "pictures" }, images) : null,
      e("figcaption", {}, e("p", { class: "small muted prompt" }, question.row === null ? "" : e("b", {}, `${Numbers.whole(question.row)} `), question.prompt),
        e("p", { class: "reply" }, e("span", {}, quoted(answer.answer)), chip),
        answer.expected !== null && !answer.right ? e("p", { class: "small" }, e("span", { class: "muted" }, "expected "), answer.expected) : null,
        before && before[1] ? e("p", { class: "small muted before" }, `${before[0]}: `, quoted(before[1].answer)) : null));
  }

  function histogram(edges, counts) {
    const most = Math.max(...counts);
    if (!(most > 0)) return null;
    let first = counts.findIndex((n) => n > 0), last = counts.length - 1;
    while (counts[last] === 0) last--;
    const all = counts.reduce((a, b) => a + b, 0);
    const part = (...content) => e("div", { style: "margin-top:1.25rem" }, e("h3", {}, "Tokens of a sample"), ...content);
    if (first === last) {  // one bar tells less than a sentence
      const low = edges[first], high = edges[first + 1] - 1;
      return part(e("p", { class: "one-length", style: "margin:0" }, (all === 1 ? "The only sample has " : `All ${Numbers.whole(all)} samples have `) +
        (high > low ? `${Numbers.whole(low)} to ${Numbers.whole(high)} tokens.` : `${plural(low, "token")}.`)));
    }
    first = Math.max(0, first - 1);
    last = Math.min(counts.length - 1, last + 1);
    const bars = e("div", { class: "bars", role: "img", "aria-label": "histogram of sample lengths" });
    for (let i = first; i <= last; i++) {
      const share = 100 * counts[i] / most;
      bars.append(e("div", { style: `height:${counts[i] > 0 ? Math.max(share, 1).toFixed(2) : 0}%`,
        title: `${Numbers.whole(edges[i])} – ${Numbers.whole(edges[i + 1] - 1)} tokens: ${plural(counts[i], "sample")} (${Numbers.show(counts[i] / all, "percent")})` }));
    }
    const n = last - first + 1;
    const every = Math.max(1, Math.ceil(n / 6));
    const marks = [];
    for (let i = 0; i <= n; i += every) marks.push(i);
    if (n - marks[marks.length - 1] >= every * 0.6) marks.push(n);
    else marks[marks.length - 1] = n;
    return part(e("div", { style: `max-width:${6 * n}rem` }, bars, e("div", { class: "edges" },  // few bars are no walls
      marks.map((i) => e("span", { style: `left:${(100 * i / n).toFixed(2)}%` }, Numbers.show(edges[first + i], "count").replace(/\.0+(?=k|M)/, ""))))));
  }

  function sourcesTable(title, sources, training) {
    if (sources.length === 0) return null;
    return [e("h3", { style: "margin-top:1.25rem" }, title), folded(training ? ["Source", "Format", "#Rows", "#Weight", "#Samples an epoch"] : ["Source", "Format", "#Rows"],
      sources.map((s) => e("tr", {}, e("td", {}, breakable(s.path)), e("td", {}, s.format), number(Numbers.whole(s.rows ?? NaN)),
        training ? [number(s.weight === null ? "–" : String(Number(s.weight.toPrecision(4)))), number(Numbers.whole(s.samples_per_epoch ?? NaN))] : null)), 12, { stack: true })];
  }

  function dataSection(run) {
    const counts = run.raw.journal.data;
    const start = run.start;
    const skipped = counts ? counts.skipped : [];
    const skippedNumber = skipped.reduce((n, s) => n + s.count, 0) || run.raw.skipped_samples || 0;
    if (!counts && !start && skippedNumber === 0) return null;
    const numbers = counts ? tiles([
      tile("Samples trained", Numbers.show(counts.samples ?? NaN, "count")),
      tile("Tokens", Numbers.show(counts.tokens ?? NaN, "count")),
      counts.supervised_tokens > 0 || !(counts.samples > 0) ? tile("Supervised", Numbers.show(counts.supervised_tokens / counts.tokens, "percent")) : null,
      tile("Tokens a sample", Numbers.show(counts.tokens / counts.samples, "count"), "mean"),
      tile("Samples skipped", Numbers.whole(skippedNumber))]) : null;
    if (numbers) numbers.style.marginTop = "0";
    const words = { bad: "broken", overlong: "too long", empty: "empty", unsupervised: "nothing to train", truncated: "cut to the limit" };
    const skippedTable = skipped.length === 0 ? null : [e("h3", { style: "margin-top:1.25rem" }, "Skipped or cut"),
      table(["Reason", "#Samples", "The first of them"], skipped.map((s) => e("tr", {}, e("td", {}, words[s.reason] || s.reason), number(Numbers.whole(s.count)),
        e("td", {}, e("span", {}, s.where ? e("b", { style: "font-weight:550" }, breakable(s.where)) : "", s.where && s.what ? ": " : "", breakable(s.what))))), { stack: true })];
    const body = [counts ? histogram(counts.length_edges, counts.length_counts) : null,
      start ? sourcesTable("Trained on", start.sources, true) : null, start ? sourcesTable("Evaluated on", start.evaluation_sources, false) : null, skippedTable].flat();
    const some = body.filter((x) => x !== null);
    if (!numbers && some.length === 0)
      return skippedNumber > 0 ? section("data", "Data", e("p", {}, `${plural(skippedNumber, "sample")} skipped.`)) : null;
    if (some.length > 0) some[0].style.marginTop = "0";
    return section("data", "Data", numbers, some.length > 0 ? e("div", { class: "card", style: numbers ? "margin-top:0.875rem" : "" }, some) : null);
  }

  function configSection(run) {
    const config = run.raw.config;
    if (config.text === "") return null;
    return section("config", "Config", e("div", { class: "card" },
      !config.read ? e("p", { class: "note" }, "This version cannot read the config, so what was changed is not known.")
        : config.changed.length === 0 ? e("p", { class: "note" }, "Everything was left at its default.")
        : [e("h3", {}, "Changed from the defaults"), table(null, config.changed.map(([key, value]) =>
          e("tr", {}, e("td", { class: "key-name" }, e("code", {}, breakable(key))), e("td", {}, e("code", {}, breakable(value))))), { stack: true })],
      e("details", { class: "whole", style: "margin-top:1rem", open: !config.read }, e("summary", {}, "Whole config"), e("pre", {}, config.text))));
  }

  function differences() {
    if (!several || data.config_differences.length === 0) return null;
    const rows = data.config_differences.map(([key, values]) => e("tr", {}, e("td", { class: "key-name" }, e("code", {}, breakable(key))),
      values.map((value) => e("td", {}, value === null ? "?" : e("code", {}, value === "" ? "–" : breakable(value))))));
    return section("differences", "Where the configs differ", e("div", { class: "card" },
      table(["Key", ...runs.map((run) => run.name)], rows)));
  }

  function remarksSection(run) {
    const { remarks, remarks_left_out: leftOut } = run.raw.journal;
    if (remarks.length === 0) return null;
    const row = (r) => e("div", { class: "remark" }, e("span", { class: `chip ${r.kind === "warning" ? "warn" : ""}` }, r.kind),
      e("div", {}, r.text, " ", e("span", { class: "muted small" }, `${r.step > 0 ? `step ${Numbers.whole(r.step)}, ` : ""}${date(r.time)}`)));
    const shown = remarks.slice(0, 12), rest = remarks.slice(12);
    return section("remarks", "Warnings and notices", e("div", { class: "card" }, shown.map(row),
      rest.length > 0 ? e("details", { style: "margin-top:0.75rem" }, e("summary", {}, `${Numbers.whole(rest.length)} more`), rest.map(row)) : null,
      leftOut > 0 ? e("p", { class: "note" }, `${Numbers.whole(leftOut)} more are in journal.jsonl.`) : null));
  }

  function checkpointsSection(run) {
    const { checkpoints, checkpoints_left_out: leftOut, best } = run.raw.journal;
    if (checkpoints.length === 0) return null;
    const there = checkpoints.filter((c) => c.state === "there");
    const chips = (c) => [best && best.path === c.path ? e("span", { class: "chip good", title: `best${metricOf(best)}` }, "best") : null,
      c.state === "there" ? null : e("span", { class: "chip" }, c.state === "deleted" ? "deleted" : "not there")].filter((x) => x !== null);
    const rows = checkpoints.map((c) => e("tr", { class: c.state === "there" ? null : "gone" },
      e("td", {}, e("code", {}, c.path ? breakable(c.path) : `step ${Numbers.whole(c.step)}`)), e("td", {}, e("span", { class: "chips" }, chips(c).length > 0 ? chips(c) : "in the folder")),
      number(Numbers.show(c.bytes ?? NaN, "bytes")), number(Numbers.duration(c.seconds ?? NaN)), e("td", { class: "muted" }, date(c.time)))).reverse();
    const bytes = there.reduce((n, c) => n + (c.bytes ?? 0), 0);
    const looked = `As of ${date(data.now)}, ` + (there.length > 0
      ? `${Numbers.whole(there.length)} of ${plural(checkpoints.length + leftOut, "checkpoint")} ${there.length === 1 ? "lies" : "lie"} in the folder${bytes > 0 ? ` (${Numbers.show(bytes, "bytes")})` : ""}.`
      : checkpoints.some((c) => c.state === "absent") ? "none of them lies in the folder: they were deleted, or the folder was copied without them." : "all of them were deleted.") + (best ? ` The best is ${best.path}${metricOf(best)}.` : "");
    return section("checkpoints", "Checkpoints", e("div", { class: "card" }, e("p", { class: "note" }, looked),
      folded(["Checkpoint", "State", "#Size", "#Written in", "When"], rows, 8, { stack: true, brief: true }),
      leftOut > 0 ? e("p", { class: "note" }, `${Numbers.whole(leftOut)} older ones are in journal.jsonl.`) : null));
  }

  function machineSection(run) {
    const start = run.start;
    const starts = run.raw.journal.starts;
    if (!start) return null;
    const went = starts.length > 1 ? [e("h3", { style: "margin-top:1.25rem" }, "Starts"), folded(["#Start", "When", "Steps"],
      starts.map((s, i) => e("tr", {}, number(String(i + 1)), e("td", {}, date(s.time)),
        e("td", {}, s.step > 0 ? `went on after step ${Numbers.whole(s.step)}` : "from the beginning"))), 8)] : null;
    const machine = [...start.machine];
    if (start.peak_flops_per_second !== null && !machine.some(([name]) => name === "peak"))
      machine.push(["peak", `${Numbers.plain(start.peak_flops_per_second / 1e12)} TFLOP/s`]);
    return section("machine", "Run and machine", e("div", { class: "card" },
      start.table.length > 0 ? [e("h3", {}, "At the start"), pairs(start.table)] : null,
      e("div", { class: "pair", style: start.table.length > 0 ? "margin-top:1.25rem" : "" },
        machine.length > 0 ? e("div", {}, e("h3", {}, "Machine"), pairs(machine)) : null,
        start.versions.length > 0 ? e("div", {}, e("h3", {}, "Versions"), pairs(start.versions)) : null), went));
  }

  function details(run) {
    return [samplesSection(run), evaluationSection(run), answersSection(run), dataSection(run), remarksSection(run), configSection(run),
      checkpointsSection(run), machineSection(run)].filter((x) => x !== null);
  }

  // ---- the page ----

  function jump(sections) {
    return e("nav", { class: "jump", "aria-label": "sections" }, sections.map((s) => {
      const warnings = s.id === "remarks" ? runs[0].raw.journal.remarks.filter((r) => r.kind === "warning").length : 0;
      return e("a", { href: `#${s.id}` }, s.querySelector("h2").textContent, warnings > 0 ? ` (${warnings})` : "");
    }));
  }

  function foot() {
    const unread = runs.reduce((n, run) => n + run.raw.unread_lines, 0);
    return e("footer", {}, unread > 0 ? e("p", {}, `${plural(unread, "line")} of metrics.jsonl or journal.jsonl could not be read and ${unread === 1 ? "was" : "were"} left out.`) : null,
      e("p", {}, breakable(runs.map((run) => run.raw.folder).join(", ")), e("br"), `lmms, ${date(data.now)}`));
  }

  const main = document.getElementById("page");
  if (!several) {
    const shown = details(runs[0]);
    const first = shown.length > 0 && shown[0].id === "samples" ? [shown.shift()] : [];  // pictures say more than curves
    const sections = [...first, curves(), ...shown];
    main.replaceChildren(...[...head(runs[0]), jump(sections), ...sections, foot()].filter((x) => x !== null));
  } else {
    const chosen = e("div", {});
    const buttons = runs.map((run) => e("button", { type: "button", onclick: () => show(run) }, dot(run), run.name));
    const show = (run) => {
      buttons.forEach((b, i) => b.setAttribute("aria-pressed", String(i === run.index)));
      chosen.replaceChildren(...details(run));
    };
    show(runs[0]);
    main.replaceChildren(...[...headOfSeveral(), curves(), differences(),
      section("details", "One run in detail", e("div", { class: "legend" }, buttons)), chosen, foot()].filter((x) => x !== null));
  }
  document.documentElement.dataset.built = performance.now().toFixed(0);
})();
