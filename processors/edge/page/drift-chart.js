/** A feature as a chart: what is normal filled, what is now as a line over it. */
import { el, setText } from './dom.js';
import { amount, NONE, percent, words } from './format.js';

const WIDTH = 200;
const HEIGHT = 56;

const svg = (tag, name) => {
  const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
  node.setAttribute('class', name);
  return node;
};

function make() {
  const picture = svg('svg', '');
  picture.setAttribute('viewBox', `0 0 ${WIDTH} ${HEIGHT}`);
  picture.setAttribute('preserveAspectRatio', 'none');
  picture.setAttribute('role', 'img');
  picture.append(svg('path', 'was'), svg('path', 'is'));
  return el('figure', '', el('figcaption', '', el('b'), el('span')), picture, el('div', 'ends', el('span'), el('span')));
}

function fill(node, { name, moved, mean, reference_mean, edges, labels, now, reference }) {
  const [caption, picture, ends] = node.children;
  node.dataset.moved = `${moved}`;
  setText(caption.children[0], words(name));
  setText(caption.children[1], mean === null ? '' : `${written(mean)}, normally ${written(reference_mean)}`);
  // Only where there is something: most of the bins' range is nobody's.
  const any = now.map((share, i) => share > 0 || reference[i] > 0);
  const [first, last] = [Math.max(0, any.indexOf(true)), Math.max(0, any.lastIndexOf(true))];
  const [is, was] = [now, reference].map((shares) => shares.slice(first, last + 1));
  const top = Math.max(...is, ...was, 0.01);
  picture.children[0].setAttribute('d', `${outline(was, top)}L${WIDTH} ${HEIGHT}L0 ${HEIGHT}Z`);
  picture.children[1].setAttribute('d', outline(is, top));
  picture.setAttribute('aria-label', mean === null ? `${words(name)}: ${told(labels, now, reference)}` : `${words(name)}: ${written(mean)} on average, normally ${written(reference_mean)}`);
  setText(ends.children[0], edges.length > 0 ? written(edges[first]) : (labels[0] ?? NONE));
  setText(ends.children[1], edges.length > 0 ? written(edges[last + 1]) : labels.length > 1 ? `and ${labels.length - 1} more` : '');
}

const written = (value) => (Math.abs(value) < 1 && value !== 0 ? value.toPrecision(2) : amount(value));
const told = (labels, now, reference) => labels.slice(0, 3).map((label, i) => `${label} ${percent(now[i])}, normally ${percent(reference[i])}`).join('; ');

/** Steps, from the left end to the right one. */
function outline(shares, top) {
  const step = WIDTH / shares.length;
  return shares.map((share, i) => {
    const y = (HEIGHT - 2 - (share / top) * (HEIGHT - 6)).toFixed(1);
    return `${i === 0 ? 'M' : 'L'}${(i * step).toFixed(1)} ${y}L${((i + 1) * step).toFixed(1)} ${y}`;
  }).join('');
}

export const chart = { make, fill };
