"use strict";
// Run behind a report by check_report.sh: uses the page as a reader does, and says on the console what is wrong.
(async () => {
  const wrong = [];
  const expect = (truth, what) => { if (!truth) wrong.push(what); };
  const frames = async (n = 4) => { for (let i = 0; i < n; i++) await new Promise((resolve) => requestAnimationFrame(resolve)); };
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const ink = (canvas) => {
    if (canvas.width === 0) return 0;
    const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    let n = 0;
    for (let i = 3; i < pixels.length; i += 4) if (pixels[i] > 0) n++;
    return n;
  };
  // The page in a window of `width`: nothing sticks out, no tile is cut or stands alone in the last row, no word is broken.
  const seenAt = async (width) => {
    const frame = document.createElement("iframe");
    frame.style.cssText = `width:${width}px;height:800px`;
    frame.srcdoc = document.documentElement.outerHTML.replace(/<script(?! type)[\s\S]*?<\/script>/g, "");
    document.body.append(frame);
    await new Promise((resolve) => { frame.onload = resolve; setTimeout(resolve, 1500); });
    const page = frame.contentDocument, at = `at ${width} px`;
    expect(page.documentElement.scrollWidth <= width, `${at} the page is ${page.documentElement.scrollWidth} px wide`);
    const narrow = all(".chart", page).filter((chart) => chart.offsetWidth < 300).length;
    expect(narrow === 0, `${at} ${narrow} charts are narrow`);
    for (const grid of all(".tiles", page)) {
      const tiles = [...grid.children], last = tiles.filter((tile) => tile.offsetTop === tiles[tiles.length - 1].offsetTop);
      expect(tiles.length === 1 || last.length > 1, `${at} a tile stands alone`);
      expect(Math.abs(last[0].getBoundingClientRect().left - grid.getBoundingClientRect().left) < 2, `${at} tiles are out of their row`);
      expect(tiles.every((tile) => [tile, ...tile.children].every((part) => part.scrollWidth <= part.clientWidth)), `${at} a tile is cut`);
    }
    const broken = brokenWords(page);
    expect(broken.length === 0, `${at} words are broken: ${broken.slice(0, 3).join(", ")}`);
    frame.remove();
  };
  const brokenWords = (page) => {
    const found = [], range = page.createRange();
    const walk = page.createTreeWalker(page.querySelector("main"), NodeFilter.SHOW_TEXT);
    for (let node = walk.nextNode(); node; node = walk.nextNode()) {
      if (node.parentElement.closest("pre, .seen")) continue;  // what a model says may be one long word
      for (const word of node.data.matchAll(/[^\s/\-–?]{2,24}/g)) {
        range.setStart(node, word.index);
        range.setEnd(node, word.index + word[0].length);
        if (new Set([...range.getClientRects()].map((box) => Math.round(box.top / 8))).size > 1) found.push(word[0]);
      }
    }
    return found;
  };
  try {
    await frames(8);
    const data = JSON.parse(document.getElementById("page-data").textContent);
    const charts = all(".chart");
    const rows = Math.max(...data.runs.map((run) => run.train.rows));
    expect(document.querySelector("h1").textContent.length > 0, "no title");
    expect(all("b, img, script", document.querySelector("main")).every((b) => b.closest(".tip, td, .seen, .grid, .strip")), "HTML came in from outside");
    const images = all("img", document.querySelector("main"));
    expect(images.every((image) => /^data:image\/(png|jpeg);base64,/.test(image.getAttribute("src"))), "a picture from elsewhere");
    const moments = all(".strip button");
    if (moments.length > 1) {
      expect(document.querySelector(".grid img") === null, "a picture that is none is shown");  // of the fixture's newest grid
      moments[0].click();
      const big = document.querySelector(".grid img");
      expect(big.naturalWidth > 0 || await big.decode().then(() => true, () => false), "a grid of samples is not shown");
      expect(big.alt.includes("</" + "script><b>")  /* whole, it would end this script */, "a grid has no text of its own");
      expect(moments[0].getAttribute("aria-pressed") === "true" && document.querySelector(".grid figcaption").textContent.includes("was deleted"), "a deleted grid is not said to be");
    }
    const cards = all(".seen");
    if (cards.length > 0) {
      await Promise.all(images.map((image) => image.decode().catch(() => {})));
      expect(images.length > 0 && images.some((image) => image.naturalWidth > 0), "no picture is drawn");
      const filter = (name) => all("#answers .segments button").find((b) => b.textContent.startsWith(name));
      filter("wrong").click();
      const wrong_ones = all(".seen");
      expect(wrong_ones.length < cards.length && wrong_ones.every((card) => card.querySelector(".chip.bad")), "the filter shows others than wrong answers");
      filter("all").click();
      expect(all(".seen").length === cards.length, "the filter does not show all again");
    }
    if (rows === 0) {
      expect(document.getElementById("curves").textContent.includes("No step"), "an empty run says nothing");
    } else {
      expect(charts.length > 0, "no charts");
      const chart = charts[0], plot = chart.querySelector(".plot"), [curves, overlay] = all("canvas", plot);
      expect(ink(curves) > 500, "the loss is not drawn");
      const place = plot.getBoundingClientRect();
      const point = (type, share, more = {}) => plot.dispatchEvent(new PointerEvent(type, { bubbles: true, pointerId: 1, button: 0,
        clientX: place.left + 60 + share * (place.width - 80), clientY: place.top + 90, ...more }));
      plot.setPointerCapture = () => {};  // there is no such pointer

      point("pointermove", 0.5);
      await frames();
      const tip = plot.querySelector(".tip");
      expect(!tip.hidden && /step/.test(tip.textContent), "hover shows no values");
      const shown = all(".tip-row", tip).length;
      if (rows > 100) expect(shown >= data.runs.filter((run) => run.train.rows > 100).length, `hover shows ${shown} values`);
      expect(ink(overlay) > 50, "no crosshair");
      point("pointerleave", 0.5);
      await frames();
      expect(tip.hidden, "the values stay after the pointer has left");

      const before = curves.toDataURL();
      point("pointerdown", 0.3);
      point("pointermove", 0.6);
      await frames();
      point("pointerup", 0.6);
      await frames();
      const reset = all(".tools button").find((b) => b.textContent === "Whole run");
      expect(!reset.hidden && curves.toDataURL() !== before, "a drag does not zoom");
      plot.dispatchEvent(new MouseEvent("dblclick", { bubbles: true }));
      await frames();
      expect(reset.hidden && curves.toDataURL() === before, "a double click does not show everything again");

      point("pointerdown", 0.2, { pointerType: "touch" });
      point("pointermove", 0.8, { pointerType: "touch" });
      point("pointerup", 0.8, { pointerType: "touch" });
      await frames();
      expect(!reset.hidden, "a finger does not zoom");
      reset.click();
      await frames();
      expect(reset.hidden && curves.toDataURL() === before, "the button does not show everything again");

      const log = chart.querySelector(".chart-log");
      log.click();
      await frames();
      expect(log.getAttribute("aria-pressed") === "true" && (rows < 3 || curves.toDataURL() !== before), "no logarithmic scale");
      log.click();
      for (const name of ["Tokens", "Time", "Steps"]) {
        all(".segments button").find((b) => b.textContent === name).click();
        await frames();
        expect(ink(curves) > 500, `nothing is drawn over ${name}`);
      }
      expect(curves.toDataURL() === before, "the axis of steps does not come back");
      const slider = document.querySelector("input[aria-label=smoothing]");
      const old = slider.value;
      slider.value = 2.5;
      slider.dispatchEvent(new Event("input"));
      await frames();
      if (rows > 100) expect(curves.toDataURL() !== before, "the slider does not smooth");
      slider.value = old;
      slider.dispatchEvent(new Event("input"));
      const legend = all(".tools .legend button");
      if (data.runs.length > 1) {
        expect(legend.length === data.runs.length, "not every run is in the legend");
        legend[0].click();
        await frames();
        expect(curves.toDataURL() !== before, "the legend does not hide a run");
        legend[0].click();
      }
    }
    // Printing: every curve is there, also of charts that never were on the screen.
    window.dispatchEvent(new Event("beforeprint"));
    for (const chart of charts) {
      const canvas = chart.querySelector("canvas");
      expect(canvas.width >= 1000 && ink(canvas) > 2000, `'${chart.querySelector(".chart-title").textContent}' is not printed`);
    }
    window.dispatchEvent(new Event("afterprint"));
    await frames();
    if (charts.length > 0) {
      const canvas = charts[0].querySelector("canvas");
      expect(canvas.width === Math.round(canvas.clientWidth * devicePixelRatio) && ink(canvas) > 500, "after printing the loss is not drawn for the screen");
    }

    if (data.runs.length === 1) {
      const gone = data.runs[0].journal.checkpoints.filter((c) => c.state !== "there");
      expect(all("#checkpoints tr.gone").length === gone.length, "deleted checkpoints are not shown as such");
      expect(all("#checkpoints tr.gone").every((row, i) => row.textContent.includes(gone[gone.length - 1 - i].state === "deleted" ? "deleted" : "not there")),
        "a checkpoint that is gone does not say so");
    }

    for (const detail of all("details")) detail.open = true;
    await seenAt(1200);
    await seenAt(768);
    await seenAt(390);
    await seenAt(360);
  } catch (error) {
    wrong.push(`${error}`);
  }
  const broken = document.documentElement.dataset.scriptError;
  if (broken) wrong.push(`script error: ${broken}`);
  console.log(`report-tried ${document.documentElement.dataset.firstDraw || "-"} ${wrong.length === 0 ? "well" : wrong.join("; ")} `);
})();
