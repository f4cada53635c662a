/** The latency panel: percentiles, the last minute as a line, and each model. */
import { byId, el, setText, sync } from './dom.js';
import { amount, duration } from './format.js';

const WIDTH = 300;
const HEIGHT = 64;
const MARGIN = 3;

export function showLatency({ total, history, models }) {
  for (const name of ['p50', 'p95', 'p99']) setText(byId(name), duration(total[name]));
  drawSpark(history);
  byId('models').parentElement.hidden = models.length === 0;
  sync(
    byId('models'),
    models,
    () => {
      const head = el('th');
      head.scope = 'row';
      return el('tr', '', head, el('td'), el('td'), el('td'));
    },
    (row, { model, rate, p50, p95 }) => {
      const [name, pace, half, most] = row.children;
      setText(name, model);
      setText(pace, amount(rate));
      setText(half, duration(p50));
      setText(most, duration(p95));
    },
  );
}

function drawSpark({ p50, p95 }) {
  const top = Math.max(1, ...p95.filter((value) => value !== null));
  const x = (index) => (index * WIDTH) / (p50.length - 1);
  const y = (value) => HEIGHT - MARGIN - (value / top) * (HEIGHT - 2 * MARGIN);
  byId('spark-p50').setAttribute('d', line(p50, x, y));
  byId('spark-p95').setAttribute('d', line(p95, x, y));
  byId('spark-band').setAttribute('d', band(p50, p95, x, y));
  const any = p95.some((value) => value !== null);
  setText(byId('spark-top'), any ? `top ${duration(top)}` : '');
  byId('spark').setAttribute('aria-label', any ? `Latency over the last minute, at most ${duration(top)} at p95` : 'No latency measured in the last minute');
}

/** Seconds without an answer leave a gap instead of a line to nowhere. */
function line(values, x, y) {
  let path = '';
  let pen = 'M';
  values.forEach((value, index) => {
    if (value === null) pen = 'M';
    else {
      path += `${pen}${x(index).toFixed(1)} ${y(value).toFixed(1)}`;
      // A second alone between two gaps still shows, as a dot of the line's round end.
      if (pen === 'M') path += 'h0.1';
      pen = 'L';
    }
  });
  return path;
}

function band(low, high, x, y) {
  let path = '';
  for (let begin = 0; begin < low.length; begin++) {
    if (low[begin] === null) continue;
    let end = begin;
    while (end + 1 < low.length && low[end + 1] !== null) end += 1;
    const range = Array.from({ length: end - begin + 1 }, (_, i) => begin + i);
    const over = range.map((i) => `${x(i).toFixed(1)} ${y(high[i]).toFixed(1)}`);
    const under = range.toReversed().map((i) => `${x(i).toFixed(1)} ${y(low[i]).toFixed(1)}`);
    path += `M${[...over, ...under].join('L')}Z`;
    begin = end;
  }
  return path;
}
