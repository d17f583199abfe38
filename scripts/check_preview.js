"use strict";
// Run behind a preview by check_preview.sh: uses the page as a reader does, and says on the console what is wrong.
(async () => {
  const wrong = [];
  const expect = (truth, what) => { if (!truth) wrong.push(what); };
  addEventListener("error", (event) => wrong.push(`script error: ${event.message}`));
  const frames = async (n = 4) => { for (let i = 0; i < n; i++) await new Promise((resolve) => requestAnimationFrame(resolve)); };
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const visible = (element) => element.offsetParent !== null;
  try {
    await frames(8);
    const data = JSON.parse(document.getElementById("page-data").textContent), main = document.querySelector("main");
    expect(all("script, iframe, img:not(.picture img)", main).length === 0, "HTML came in from outside");
    const pictures = data.samples.flatMap((sample) => sample.media.flatMap((medium) => medium.pictures));
    expect(all(".picture img", main).length === pictures.length, "pictures are missing");
    expect(all(".picture img", main).every((image) => image.src.startsWith("data:image/")), "a picture lies elsewhere");
    expect(all(".sample").length === data.samples.length, `${all(".sample").length} samples of ${data.samples.length}`);
    expect(all(".row").length === data.rows.length + (data.samples.some((sample) => sample.row === null) ? 1 : 0), "rows are missing");

    // Every sample, as it comes near: its tokens, those that are targets, the position 0.
    const trained = new Map();
    for (const box of all(".tokens")) {
      box.scrollIntoView();
      for (let i = 0; i < 60 && !box.firstChild; i++) await frames(1);
      const { sample, begin, end } = box.dataset, n = all(".t", box).length;
      const folded = data.samples[sample].media.flatMap((medium) => medium.runs).filter(([b, e]) => e - b >= 4 && b >= begin && b < end)
        .reduce((sum, [b, e]) => sum + e - b - 1, 0);
      expect(n === end - begin - folded && n > 0, `sample ${Number(sample) + 1}: ${n} tokens of ${begin} to ${end}`);
      trained.set(sample, (trained.get(sample) || 0) + all(".t.trained", box).length);
      expect(all(".at.zero", box).length === (begin === "0" ? 1 : 0), `sample ${Number(sample) + 1}: position 0`);
    }
    data.samples.forEach((sample, i) => {
      const beyond = sample.targets[sample.ids.length - 1] === undefined ? 0 : 1;
      expect((trained.get(`${i}`) || 0) === sample.trained - beyond, `sample ${i + 1}: trained tokens`);
    });
    expect(all(".tokens .t").length < 60000, "far samples keep their tokens");
    scrollTo(0, 0);
    await frames();

    const box = all(".tokens").find((one) => one.dataset.begin === "0" && data.samples[one.dataset.sample].trained > 0);
    if (box) {
      box.scrollIntoView();
      await frames(8);
      const token = all(".t.trained", box)[0], tip = document.getElementById("tip");
      token.dispatchEvent(new PointerEvent("pointerover", { bubbles: true, pointerType: "mouse" }));
      expect(!tip.hidden && /position/.test(tip.textContent) && tip.textContent.includes(token.dataset.id), "hover says nothing");
      token.click();
      const before = tip.textContent;
      document.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowLeft" }));
      expect(tip.textContent !== before && /target/.test(tip.textContent), "the arrow does not go on");
      expect(all(".t.target", box).includes(token), "the target is not marked");
      document.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape" }));
      expect(tip.hidden, "the tip stays");
    }

    for (const picture of all(".picture").filter((one) => one.querySelector(".cell")).slice(0, 3)) {
      picture.scrollIntoView();
      await frames(4);
      const image = picture.querySelector("img"), tip = document.getElementById("tip"), at = picture.getBoundingClientRect();
      for (let i = 0; i < 60 && !image.complete; i++) await frames(1);
      expect(image.naturalWidth > 0, "a picture cannot be drawn");
      picture.dispatchEvent(new PointerEvent("pointermove", { bubbles: true, pointerType: "mouse", clientX: at.left + 3, clientY: at.top + 3 }));
      expect(!tip.hidden && /row 1 of/.test(tip.textContent), "a picture says nothing");
      expect(!/token/.test(tip.textContent) || all(".t.pads.here").length <= 1, "its pads are not marked");
      document.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape" }));
    }

    const [which, fate] = all(".bar-of-tools select"), text = document.querySelector(".bar-of-tools input");
    const set = async (element, value) => {
      element.value = value;
      element.dispatchEvent(new Event(element === text ? "input" : "change"));
      await frames(1);
      return all(".sample").filter(visible).length;
    };
    expect(await set(which, "0") === 1, "the choice of a sample");
    await set(which, "");
    const untrained = data.samples.filter((sample) => sample.row === null).length;
    expect(await set(fate, "out") === untrained, "the choice of what is not trained");
    expect(await set(fate, "") === data.samples.length, "no way back");
    expect(await set(text, "no sample has this") === 0 && visible(document.querySelector(".nothing")), "finding nothing");
    expect(await set(text, data.samples[0].origin.toUpperCase()) >= 1, "finding an origin");
    await set(text, "");
    document.querySelector(".bar-of-tools button").click();
    expect(main.classList.contains("with-ids"), "no ids");

    // Printing: every token is there at once, and the images of all samples.
    scrollTo(0, 0);
    await frames(8);
    window.dispatchEvent(new Event("beforeprint"));
    for (const one of all(".tokens")) {
      const { sample, begin, end } = one.dataset;
      const folded = data.samples[sample].media.flatMap((medium) => medium.runs).filter(([b, e]) => e - b >= 4 && b >= begin && b < end)
        .reduce((sum, [b, e]) => sum + e - b - 1, 0);
      expect(all(".t", one).length === end - begin - folded, `sample ${Number(sample) + 1} is not printed with its tokens`);
    }
    expect(all(".picture img").every((image) => image.loading === "eager"), "pictures far below are not printed");
    window.dispatchEvent(new Event("afterprint"));
    await frames(8);
    const drawn = all(".tokens").filter((one) => one.firstChild);
    expect((drawn.length > 0 || all(".tokens").length === 0) && all(".tokens").every((one) => one.firstChild || one.style.minHeight), "after printing tokens have no place");

    for (const detail of all("details")) detail.open = true;
    for (const width of [390, 360]) {
      const frame = document.createElement("iframe");  // as a phone shows it
      frame.style.cssText = `width:${width}px;height:800px`;
      frame.srcdoc = document.documentElement.outerHTML.replace(/<script(?! type)[\s\S]*?<\/script>/g, "");
      document.body.append(frame);
      await new Promise((resolve) => { frame.onload = resolve; setTimeout(resolve, 1500); });
      const root = frame.contentDocument.documentElement;
      expect(root.scrollWidth <= width, `on a phone of ${width} px the page is ${root.scrollWidth} px wide`);
      const tiles = all(".tiles > div", frame.contentDocument);
      expect(tiles.every((tile) => [tile, ...tile.children].every((part) => part.scrollWidth <= part.clientWidth)), `at ${width} px a tile is cut`);
      frame.remove();
    }
  } catch (error) {
    wrong.push(`${error}`);
  }
  console.log(`preview-tried ${wrong.length === 0 ? "well" : wrong.join("; ")} `);
})();
