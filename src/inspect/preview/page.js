'use strict';
// Draws the preview. Everything that comes from outside is set as text, never as HTML. Tokens stand in blocks that are drawn when
// they come near the screen and emptied when they are far: a page of millions of tokens holds a few thousand elements.
(() => {
const data = JSON.parse(document.getElementById('page-data').textContent);
const page = document.getElementById('page'), tip = make('div', { id: 'tip', hidden: true });
document.body.append(tip);
const special = new Set(data.special);

const count = n => n.toLocaleString('en-US');
const plural = (n, word) => `${count(n)} ${word}${n === 1 ? '' : 's'}`;
const percent = (part, whole) => `${whole ? Math.round(100 * part / whole) : 0} %`;
const sum = (list, value) => list.reduce((total, item) => total + value(item), 0);

function bytesText(bytes) {
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  let unit = 0;
  while (bytes >= 1000 && unit + 1 < units.length) { bytes /= 1000; ++unit; }
  return unit === 0 ? `${bytes} B` : `${bytes.toFixed(1)} ${units[unit]}`;
}

/** An element with attributes and children; strings become text. */
function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name === 'style') element.setAttribute('style', value);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter(child => child != null && child !== ''));
  return element;
}

/** Invisible characters made visible, as in the terminal: ↵, ⇥, \u{202E}. */
function visible(text) {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, c => {
    const code = c.codePointAt(0);
    if (c === '\n') return '↵';
    if (c === '\t') return '⇥';
    if (code < 0x20) return String.fromCodePoint(0x2400 + code);
    if (code === 0x7f) return '␡';
    if (code === 0x200c || code === 0x200d) return c;  // joiners: emoji are written with them
    return `\\u{${code.toString(16).toUpperCase().padStart(4, '0')}}`;
  });
}

function bytesOf(id) {
  if (data.bytes[id] !== undefined) return data.bytes[id];
  const text = data.vocabulary[id];
  if (text === undefined) return '';
  return Array.from(new TextEncoder().encode(text), byte => byte.toString(16).padStart(2, '0')).join(' ');
}
const nameOf = id => {
  const text = data.vocabulary[id];
  return text !== undefined ? visible(text).replaceAll(' ', '␣') : `<${bytesOf(id)}>`;
};

// What is read of a sample's arrays at a position.
const weightsOf = sample => {
  if (sample.at) return sample.at;
  sample.at = new Float32Array(sample.ids.length);
  for (const [begin, end, weight] of sample.weights) sample.at.fill(weight, begin, end);
  return sample.at;
};
const textAt = (sample, t) => sample.texts[t] || data.vocabulary[sample.ids[t]] || (sample.ids[t] === data.mask ? '[MASK]' : '');
const positionAt = (sample, t) => sample.positions ? sample.positions[t] : t;
/** One number, or "time / height / width" where they differ. */
const placeAt = (sample, t) => {
  const p = positionAt(sample, t);
  if (!sample.axes || (sample.axes[0][t] === p && sample.axes[1][t] === p)) return count(p);
  return `${p} / ${sample.axes[0][t]} / ${sample.axes[1][t]}`;
};
/** Of masked samples the masked token, else the one behind a position with a target. */
const isTrained = (sample, t) => sample.masked ? sample.ids[t] === data.mask : t > 0 && weightsOf(sample)[t - 1] > 0;
const timesOf = sample => sample.times?.length
  ? ` · t ${sample.times.slice(0, 8).map(t => t.toFixed(2)).join(', ')}${sample.times.length > 8 ? `, … of ${sample.times.length} blocks` : ''}` : '';
const targetAt = (sample, t) => sample.targets[t] ?? sample.ids[t + 1];

// ---- images and videos

const kFold = 4;  // pads in a row that are shown as one

/** The runs of pads that are shown as one, by their first token: {begin, end, medium}. */
function foldsOf(sample) {
  if (sample.folds) return sample.folds;
  sample.folds = new Map();
  sample.media.forEach((medium, m) => {
    for (const [begin, end] of medium.runs) {
      if (end - begin >= kFold) sample.folds.set(begin, { begin, end, medium: m });
    }
  });
  return sample.folds;
}

/** The first token of the unit that a token is in: of its run of pads, or itself. */
function unitOf(sample, t) {
  for (const fold of foldsOf(sample).values()) if (t >= fold.begin && t < fold.end) return fold.begin;
  return t;
}

const kindOf = medium => medium.video ? 'video' : 'image';

/** "image 3", counted by kind. */
function nameOfMedium(sample, m) {
  const kind = kindOf(sample.media[m]);
  return `${kind} ${sample.media.slice(0, m + 1).filter(one => kindOf(one) === kind).length}`;
}

/** The token of a cell of a picture; undefined where cells and tokens are not one to one. */
function tokenOfCell(medium, picture, row, column) {
  const cells = picture.rows * picture.columns * medium.grid[0];
  if (cells !== medium.tokens) return undefined;
  let k = (picture.time * picture.rows + row) * picture.columns + column;
  for (const [begin, end] of medium.runs) {
    if (k < end - begin) return begin + k;
    k -= end - begin;
  }
  return undefined;
}

function pictureBox(index, m, p) {
  const medium = data.samples[index].media[m], picture = medium.pictures[p];
  const total = medium.pictures.length + medium.left_out;
  picture.time = Math.floor(p * total / medium.pictures.length);  // as they were chosen
  const grid = picture.rows > 0 ? make('span', { class: 'cells', style: `--rows: ${picture.rows}; --columns: ${picture.columns}` },
    make('span', { class: 'cell', hidden: true })) : null;
  const image = make('img', { src: picture.url, alt: `${nameOfMedium(data.samples[index], m)} as the model sees it`,
    class: picture.width <= 160 ? 'coarse' : null, loading: 'lazy', decoding: 'async' });
  const wanted = Math.max(picture.width, Math.min(picture.width * 8, 168));  // tiny ones are enlarged
  const width = Math.round(Math.min(wanted, total > 1 ? 160 : 640, 480 * picture.width / picture.height));
  const box = make('span', { class: 'picture', 'data-sample': index, 'data-medium': m, 'data-picture': p,
    style: `aspect-ratio: ${picture.width} / ${picture.height}; width: ${width}px` }, image, grid);
  return total > 1 || picture.label ? make('span', { class: 'frame' }, box, make('small', {}, visible(picture.label) || `${picture.time + 1}`)) : box;
}

function mediaStrip(index) {
  const sample = data.samples[index];
  if (!sample.media.length) return null;
  return make('div', { class: 'media' }, sample.media.map((medium, m) => {
    const [t, h, w] = medium.grid;
    const size = medium.width ? `, ${count(medium.width)} × ${count(medium.height)}` : '';
    const seen = medium.pictures.length === 1 ? `, seen as ${count(medium.pictures[0].width)} × ${count(medium.pictures[0].height)}` : '';
    const cells = medium.pictures.length && medium.pictures[0].rows ? `, a cell is a token` : '';
    return make('figure', { id: `medium-${index + 1}-${m + 1}` },
      make('div', { class: medium.pictures.length > 1 ? 'pictures many' : 'pictures' }, medium.pictures.map((_, p) => pictureBox(index, m, p))),
      make('figcaption', {}, make('b', {}, nameOfMedium(sample, m)), ` ${visible(medium.name)}${size}${seen}: grid ${t} × ${h} × ${w}, `,
        plural(medium.tokens, 'token'), cells, medium.left_out ? `; ${medium.pictures.length} of ${medium.pictures.length + medium.left_out} shown` : ''));
  }));
}

/** Shows which token a place in a picture is; hides it outside. */
function pointAt(box, x, y) {
  const sample = data.samples[box.dataset.sample], m = Number(box.dataset.medium);
  const medium = sample.media[m], picture = medium.pictures[box.dataset.picture];
  const mark = box.querySelector('.cell');
  if (!mark) return;
  const at = box.getBoundingClientRect();
  const row = Math.min(picture.rows - 1, Math.max(0, Math.floor((y - at.top) / at.height * picture.rows)));
  const column = Math.min(picture.columns - 1, Math.max(0, Math.floor((x - at.left) / at.width * picture.columns)));
  mark.hidden = false;
  mark.setAttribute('style', `left: ${100 * column / picture.columns}%; top: ${100 * row / picture.rows}%; ` +
    `width: ${100 / picture.columns}%; height: ${100 / picture.rows}%`);
  const t = tokenOfCell(medium, picture, row, column);
  const list = [['cell', `row ${row + 1} of ${picture.rows}, column ${column + 1} of ${picture.columns}`]];
  if (t !== undefined) list.push(['token', count(t)], [sample.axes ? 'position (t / h / w)' : 'position', placeAt(sample, t)]);
  place(listOf(list), { left: x, right: x, top: y, bottom: y + 12 });
  const chip = t === undefined ? null : page.querySelector(`.tokens[data-sample="${box.dataset.sample}"] > .t[data-t="${unitOf(sample, t)}"]`);
  if (chip) { chip.classList.add('here'); marked.push(chip); }
  marked.push(mark);
}

// ---- tokens of one sample

const kMarkEvery = 50;
const kBlock = 1000;  // tokens, and on to a line break that is near

/** The blocks of a sample as [begin, end]. */
function blocksOf(sample) {
  const blocks = [];
  const folds = foldsOf(sample);
  for (let begin = 0; begin < sample.ids.length;) {
    let end = Math.min(begin + kBlock, sample.ids.length);
    const last = Math.min(end + kBlock, sample.ids.length);
    for (let t = end; t < last; ++t) {
      if (t + 1 === sample.ids.length || textAt(sample, t).endsWith('\n')) { end = t + 1; break; }
    }
    for (const fold of folds.values()) if (end > fold.begin && end < fold.end) end = fold.end;
    blocks.push([begin, end]);
    begin = end;
  }
  return blocks;
}

function drawTokens(box, sample) {
  const folds = foldsOf(sample);
  const parts = document.createDocumentFragment();
  for (let t = Number(box.dataset.begin); t < Number(box.dataset.end); ++t) {
    const position = positionAt(sample, t);
    if (position % kMarkEvery === 0 && (t === 0 || position !== positionAt(sample, t - 1))) {
      const mark = document.createElement('span');
      mark.className = position === 0 ? 'at zero' : 'at';
      mark.textContent = position;
      parts.append(mark);
    }
    const id = sample.ids[t], text = textAt(sample, t), fold = folds.get(t);
    if (fold) {
      parts.append(make('span', { class: 't special pads', 'data-t': t, 'data-id': id }, `${visible(text)} × ${count(fold.end - fold.begin)}`));
      t = fold.end - 1;
      continue;
    }
    const token = document.createElement('span');
    const part = /^[\u200c\u200d]*$/.test(text);
    token.className = 't' + (isTrained(sample, t) ? ' trained' : '') + (special.has(id) ? ' special' : '') +
      (part ? ' part' : '');
    token.dataset.t = t;
    token.dataset.id = id;
    token.textContent = part ? '·' : visible(text);
    parts.append(token);
    if (text.endsWith('\n')) token.classList.add('end');
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) parts.append(document.createElement('br'));
  }
  box.replaceChildren(parts);
}

let paper = false;  // the page is being printed

const near = new IntersectionObserver(entries => {
  if (paper) return;
  for (const { target: box, isIntersecting } of entries) {
    const sample = data.samples[box.dataset.sample];
    if (isIntersecting && !box.firstChild) {
      drawTokens(box, sample);
      box.style.minHeight = '';
    } else if (!isIntersecting && box.firstChild) {
      box.style.minHeight = `${box.offsetHeight}px`;
      box.replaceChildren();
    }
  }
}, { rootMargin: '1500px 0px' });

const kMostPrinted = 100000;  // tokens: some hundred pages; more would choke browser and printer

/** Paper shows the tokens of every sample that is shown, none of which may have been near the screen yet. */
function print(on) {
  if (on === paper) return;
  paper = on;
  if (on) hideTip();
  let left = kMostPrinted;
  for (const box of page.querySelectorAll('.tokens')) {
    if (!on) {  // the observer tells anew which are near
      near.unobserve(box);
      near.observe(box);
      if (box.dataset.cut) box.replaceChildren();
      delete box.dataset.cut;
      continue;
    }
    const { sample, begin, end } = box.dataset, tokens = end - begin;
    if (box.closest('[hidden]')) continue;
    left -= tokens;
    if (left >= 0) {
      if (!box.firstChild) drawTokens(box, data.samples[sample]);
      box.style.minHeight = '';
    } else {
      box.dataset.cut = true;
      box.replaceChildren(make('span', { class: 'note' }, left + tokens > 0 || begin === '0'
        ? `Not printed from here on: a print holds ${count(kMostPrinted)} tokens. Choose a sample first.` : ''));
    }
  }
  for (const image of page.querySelectorAll('.picture img')) image.loading = on ? 'eager' : 'lazy';
}
addEventListener('beforeprint', () => print(true));
addEventListener('afterprint', () => print(false));
matchMedia('print').addEventListener('change', event => print(event.matches));

/** About how high the tokens will be, so that the page scrolls evenly before they are drawn. */
function guessHeight(sample, begin, end) {
  const columns = Math.max(20, Math.min(page.clientWidth, 1100) / 8);
  let lines = 1, column = 0;
  const folds = foldsOf(sample);
  for (let t = begin; t < end; ++t) {
    const text = textAt(sample, t);
    if (folds.has(t)) t = folds.get(t).end - 1;
    column += text.length;
    if (text.includes('\n') || column > columns) { ++lines; column = 0; }
  }
  return lines * 23;
}

// ---- a sample

const kVerdicts = { cut: ['warn', 'cut'], skipped: ['warn', 'not trained'], stops: ['bad', 'training stops here'] };

function turnsLine(sample) {
  if (!sample.turns.length) return null;
  const line = make('div', { class: 'turns' });
  sample.turns.forEach(([role, begin, end, trained], i) => {
    line.append(`${i ? ' · ' : ''}${visible(role) || '(no role)'} ${count(end - begin)}`);
    if (trained) line.append(' ', make('b', {}, `${count(trained)} trained`));
  });
  if (sample.turns.length <= 8) return line;
  return make('details', { class: 'turns' }, make('summary', {}, plural(sample.turns.length, 'turn')), line);
}

function verdictLine(sample) {
  if (sample.fate === 'trained') return null;
  const [style, what] = kVerdicts[sample.fate];
  const reason = sample.fate === 'cut' ? '' : `, ${sample.reason}`;
  return make('p', { class: `verdict ${style}` }, `${what}${reason}: ${visible(sample.what)} (${sample.policy})`,
    sample.fix ? `\nfix: ${visible(sample.fix)}` : '');
}

function sampleCard(index, colour) {
  const sample = data.samples[index], n = sample.ids.length;
  const blocks = blocksOf(sample).map(([begin, end]) => make('div', { class: 'tokens', 'data-sample': index, 'data-begin': begin,
    'data-end': end, style: `min-height: ${guessHeight(sample, begin, end)}px` }));
  const beyond = n && !sample.masked && sample.targets[n - 1] !== undefined
    ? make('div', { class: 'turns' }, 'The last position is trained to predict what was cut off: ',
        make('b', {}, nameOf(sample.targets[n - 1]))) : null;
  const card = make('article', { class: 'card sample', id: `sample-${index + 1}`, style: colour ? `--of-sample: ${colour}` : null },
    make('header', {}, make('h3', {}, `${index + 1} · `, breakable(visible(sample.origin))),
      n ? make('span', {}, `${plural(n, 'token')}, ${count(sample.trained)} ${sample.masked ? 'masked' : 'trained'} (${percent(sample.trained, n)})${timesOf(sample)}`) : null,
      sample.patches ? make('span', {}, `${count(sample.patches)} patches${sample.image_class !== null ? `, class ${sample.image_class}` : ''}${sample.times.length ? ` · noised to t = ${sample.times[0].toFixed(2)} (0: noise, 1: data)` : ''}`) : null,
      sample.row !== null && n ? make('span', {}, `positions ${placeAt(sample, 0)} to ${placeAt(sample, n - 1)}`) : null),
    turnsLine(sample), verdictLine(sample), mediaStrip(index), blocks, beyond);
  blocks.forEach(block => near.observe(block));
  return card;
}

// ---- the page

const kColours = 8;
const colourOf = k => `var(--run-${k % kColours})`;

function rowSection(row, r) {
  const length = data.packing ? data.row_length : row.tokens;
  const cards = row.samples.map((index, k) => sampleCard(index, colourOf(k)));
  const limit = data.row_patches ? ` of ${count(data.row_patches)}` : '';
  const patches = limit || row.patches ? `, ${count(row.patches)}${limit} patches` : '';
  const title = data.packing
    ? `${count(row.tokens)} of ${count(length)} tokens, ${percent(row.tokens, length)} full, ${plural(row.samples.length, 'sample')}${patches}`
    : plural(row.tokens, 'token') + patches;
  const fill = data.packing ? make('div', { class: 'fill', role: 'img', 'aria-label': title },
    row.samples.map((index, k) => {
      const n = data.samples[index].ids.length || data.samples[index].patches;
      return make('a', { href: `#sample-${index + 1}`, title: `sample ${index + 1}: ${plural(n, 'token')}`,
        style: `width: ${100 * n / length}%; --of-sample: ${colourOf(k)}` });
    })) : null;
  return make('section', { class: 'row' }, make('h2', {}, `Row ${r + 1}`, make('small', {}, title)), fill, cards);
}

/** A path that may be broken behind its marks, so that no word of it need be. */
const breakable = text => text.replace(/[./_-]+(?=[^\s\d./_-])/g, '$&\u0000').split('\u0000')
  .flatMap((part, i) => i === 0 ? [part] : [make('wbr'), part]);

function sourcesTable() {
  const weighted = data.sources.some(source => source.weight !== 1);
  const looked = source => source.looked_at !== null && source.looked_at < source.bytes ? `${bytesText(source.looked_at)} of ` : '';
  const body = data.sources.map((source, s) => make('tr', {},
    make('td', {}, `${s + 1} · `, breakable(visible(source.path))),
    make('td', {}, source.format + (source.files > 1 ? `, ${count(source.files)} files` : '')),
    weighted ? make('td', { class: 'num' }, source.weight) : null,
    make('td', { class: 'num' }, looked(source) + bytesText(source.bytes)),
    make('td', {}, data.named ? `${plural(source.shown, 'named row')}`
      : `${source.to_the_end ? 'its' : 'its first'} ${plural(source.shown, 'row')}`)));
  const heads = ['Source', 'Format', ...(weighted ? ['Weight'] : []), 'Looked at', 'Shown'];
  for (const row of body) [...row.children].forEach((cell, i) => cell.setAttribute('data-label', heads[i]));
  const numbers = ['Weight', 'Looked at'];
  return make('div', { class: 'card' }, make('table', { class: 'sources stack' },
    make('thead', {}, make('tr', {}, heads.map(head => make('th', { class: numbers.includes(head) ? 'num' : null }, head)))),
    make('tbody', {}, body)));
}

function tile(name, value, note) {
  return make('div', {}, make('dt', {}, name), make('dd', {}, value, note ? [' ', make('small', {}, note)] : null));
}

function head() {
  const inRows = data.samples.filter(sample => sample.row !== null);
  const tokens = sum(inRows, sample => sample.ids.length || sample.patches), trained = sum(inRows, sample => sample.trained);
  const out = data.samples.length - inRows.length;
  const note = data.tokenizer ? [`Processor ${data.processor}, tokenizer `, breakable(visible(data.tokenizer)), ` (${count(data.vocabulary_size)} tokens).`]
    : [`Processor ${data.processor}, no tokenizer.`];
  if (data.packing) {
    note.push(` Rows hold the samples shown, in the order shown. Training ${data.shuffle ? 'shuffles' : 'goes through all records'}` +
      `${data.open_rows > 1 ? ` and fills ${data.open_rows} rows at once` : ''}: its rows are fuller and mixed otherwise.`);
  }
  if (data.sources_left_out) note.push(` ${count(data.sources_left_out)} more sources are not shown; lmms preview -n 1 shows all.`);
  return [
    make('header', { class: 'top' }, make('h1', {}, breakable(visible(data.config) || 'config')),
      make('span', { class: 'chip' }, data.evaluation ? 'evaluation data' : 'training data'),
      make('span', { class: 'chip' }, data.packing ? `packed by ${data.packing}` : 'a sample is a row')),
    make('dl', { class: 'tiles' }, tile('Samples', count(inRows.length), out ? `and ${count(out)} not trained` : ''),
      tile('Tokens', count(tokens)), tile('Trained', count(trained), percent(trained, tokens)),
      tile('Rows', count(data.rows.length),
        data.packing ? `${percent(tokens, data.rows.length * data.row_length)} full` : '')),
    make('section', {}, make('h2', {}, 'Sources'), sourcesTable(), make('p', { class: 'note', style: 'margin-top: 0.75rem' }, note)),
  ];
}

function legend() {
  const entry = (style, text, meaning) => make('span', {}, make('span', { class: style }, text), meaning);
  return make('div', { class: 'legend' }, entry('t trained', 'text', 'the model is trained to predict it'),
    entry('t', 'text', 'only read'), entry('t special', '<|im_end|>', 'special token'),
    entry('at zero', '0', 'position, from 0 in every sample'), entry('t part', '·', 'part of the next character'),
    data.samples.some(sample => sample.media.length) ? entry('t special pads', '<|image_pad|> × 64', 'the tokens of an image') : null,
    make('span', { class: 'no-print' }, 'Hover or tap a token for id, target and bytes; ← → go on from there.'));
}

const sections = [];  // of rows and of what is not trained: {element, samples}
const filter = { sample: '', fate: '', text: '' };

function textOf(sample) {
  sample.text ??= sample.ids.map((_, t) => textAt(sample, t)).join('').toLowerCase() + '\n' + sample.origin.toLowerCase();
  return sample.text;
}

function applyFilter(nothing) {
  const wanted = filter.text.toLowerCase();
  let shown = 0;
  for (const section of sections) {
    let some = false;
    for (const index of section.samples) {
      const sample = data.samples[index];
      const fits = (filter.sample === '' || Number(filter.sample) === index) &&
        (filter.fate === '' || (filter.fate === 'in') === (sample.row !== null)) &&
        (wanted === '' || textOf(sample).includes(wanted));
      document.getElementById(`sample-${index + 1}`).hidden = !fits;
      some ||= fits;
      shown += fits;
    }
    section.element.hidden = !some;
  }
  nothing.hidden = shown > 0;
}

function tools(nothing) {
  const choose = (key, ...options) => make('select', { 'aria-label': key,
    onchange: event => { filter[key] = event.target.value; applyFilter(nothing); } }, options);
  const switchOf = (name, style, on = false) => make('button', { type: 'button', 'aria-pressed': String(page.classList.toggle(style, on)), onclick: event => {
    const on = page.classList.toggle(style);
    event.target.setAttribute('aria-pressed', on);
  } }, name);
  return make('div', { class: 'bar-of-tools' },
    choose('sample', make('option', { value: '' }, 'all samples'),
      data.samples.map((sample, i) => make('option', { value: i }, `${i + 1} · ${visible(sample.origin)}`))),
    choose('fate', make('option', { value: '' }, 'trained or not'), make('option', { value: 'in' }, 'trained'),
      make('option', { value: 'out' }, 'not trained')),
    make('input', { type: 'search', placeholder: 'find text or origin', 'aria-label': 'find',
      oninput: event => { filter.text = event.target.value; applyFilter(nothing); } }),
    switchOf('ids', 'with-ids'),
    data.samples.some(sample => sample.media.length) ? switchOf('grid', 'with-grid', true) : null);
}

// ---- what a token is

let marked = [];

function describe(sample, t) {
  const id = sample.ids[t], weight = weightsOf(sample)[t], fold = foldsOf(sample).get(t);
  const axes = sample.axes ? 'position (t / h / w)' : 'position';
  if (fold) {
    return listOf([['is', nameOfMedium(sample, fold.medium)], ['tokens', `${count(fold.end - fold.begin)} from ${count(t)} on`],
      [axes, `${placeAt(sample, t)}  to  ${placeAt(sample, fold.end - 1)}`], ['id', id], ['target', 'none: not trained here']]);
  }
  const list = [[axes, placeAt(sample, t)], ['id', id], ['text', visible(textAt(sample, t)).replaceAll(' ', '␣') || '(part of a character)'],
    ['bytes', bytesOf(id)]];
  if (weight > 0) list.push(['target', `${targetAt(sample, t)}  ${nameOf(targetAt(sample, t))}`]);
  else list.push(['target', 'none: not trained here']);
  if (weight > 0 && weight !== 1) list.push(['weight', weight]);
  return listOf(list);
}

const listOf = list => make('dl', {}, list.map(([name, value]) => [make('dt', {}, name), make('dd', {}, String(value))]));

function hideTip() {
  tip.hidden = true;
  for (const token of marked) {
    token.classList.remove('here', 'target');
    if (token.classList.contains('cell')) token.hidden = true;
  }
  marked = [];
}

/** The token before or behind; null at an end of the sample, or where its block is not drawn. */
function nextToken(token, step) {
  const sample = data.samples[token.parentElement.dataset.sample], at = Number(token.dataset.t);
  const fold = foldsOf(sample).get(at);
  const t = step > 0 && fold ? fold.end : unitOf(sample, at + step);
  for (const block of [token.parentElement, token.parentElement.nextElementSibling, token.parentElement.previousElementSibling]) {
    const next = block?.querySelector(`.t[data-t="${t}"]`);
    if (next) return next;
  }
  return null;
}

function showTip(token) {
  hideTip();
  const sample = data.samples[token.parentElement.dataset.sample], t = Number(token.dataset.t);
  token.classList.add('here');
  marked.push(token);
  const next = nextToken(token, 1);
  if (sample.at[t] > 0 && next && sample.targets[t] === undefined) {
    next.classList.add('target');
    marked.push(next);
  }
  place(describe(sample, t), token.getBoundingClientRect());
}

/** The tip with `content`, beside a place on the screen. */
function place(content, at) {
  tip.replaceChildren(content);
  tip.hidden = false;
  const size = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(8, Math.min(at.left, innerWidth - size.width - 8))}px`;
  const below = at.bottom + 8;
  tip.style.top = `${below + size.height < innerHeight ? below : Math.max(8, at.top - size.height - 8)}px`;
}

const tokenOf = event => event.target.closest?.('.tokens > .t');
const pictureOf = event => event.target.closest?.('.picture');
let pinned = null;
page.addEventListener('pointerover', event => {
  if (event.pointerType === 'touch' || pinned) return;
  const token = tokenOf(event);
  if (token) showTip(token); else hideTip();
});
page.addEventListener('pointermove', event => {
  if (event.pointerType === 'touch' || pinned) return;
  const box = pictureOf(event);
  if (!box) return;
  hideTip();
  pointAt(box, event.clientX, event.clientY);
});
page.addEventListener('pointerleave', () => { if (!pinned) hideTip(); });
document.addEventListener('click', event => {
  const token = tokenOf(event);
  pinned = token && token !== pinned ? token : null;
  if (pinned) showTip(pinned); else hideTip();
  const box = pinned ? null : pictureOf(event);
  if (box) pointAt(box, event.clientX, event.clientY);
});
document.addEventListener('keydown', event => {
  if (event.key === 'Escape') { pinned = null; hideTip(); }
  if (!pinned || (event.key !== 'ArrowLeft' && event.key !== 'ArrowRight')) return;
  const next = pinned.isConnected ? nextToken(pinned, event.key === 'ArrowRight' ? 1 : -1) : null;
  if (!next) return;
  event.preventDefault();
  pinned = next;
  next.scrollIntoView({ block: 'nearest' });
  showTip(next);
});
addEventListener('scroll', () => { if (pinned && pinned.isConnected) showTip(pinned); else hideTip(); }, { passive: true });

// ---- all of it

const nothing = make('p', { class: 'nothing', hidden: true }, 'No sample fits the filter.');
page.append(...head(), tools(nothing), legend(), nothing);
data.rows.forEach((row, r) => {
  const element = rowSection(row, r);
  sections.push({ element, samples: row.samples });
  page.append(element);
});
const out = data.samples.flatMap((sample, i) => sample.row === null ? [i] : []);
if (out.length) {
  const element = make('section', { class: 'row' }, make('h2', {}, 'Not trained', make('small', {}, plural(out.length, 'record'))),
    out.map(index => sampleCard(index, null)));
  sections.push({ element, samples: out });
  page.append(element);
}
})();
