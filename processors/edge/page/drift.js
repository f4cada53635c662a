/** The panel of drift: asks now and then, since windows take minutes. */
import { authorised } from './access.js';
import { byId, el, setText, sync } from './dom.js';
import { chart } from './drift-chart.js';
import { count, percent, timeOfDay, words } from './format.js';
import { showFrames } from './frames.js';

const EVERY_MS = 30_000;
const HOURS = 24;
const SPAN_MS = HOURS * 3_600_000;
/** Charts of a stream that is well: its most unusual features. */
const SHOWN = 4;

const verdicts = { stable: 'as usual', drifted: 'has changed', no_reference: 'nothing said to be normal yet', too_few: 'too few frames' };
const usual = 'five-minute windows beside what is normal, last 24 hours';

export function startDrift() {
  void ask();
  setInterval(() => document.hidden || void ask(), EVERY_MS);
}

async function ask() {
  try {
    const response = await authorised(`/v1/drift?hours=${HOURS}`);
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.detail || answer.title);
    setText(byId('drift-hint'), usual);
    show(answer);
  } catch (error) {
    setText(byId('drift-hint'), `cannot be told: ${error.message}`);
  }
}

function show({ alerts, streams }) {
  byId('no-drift').hidden = streams.length > 0;
  sync(byId('drift-alerts'), alerts.slice(0, 5), () => el('li', '', el('h3'), el('p'), el('div', 'drift-frames')), showAlert);
  sync(byId('drift-streams'), streams, () => el('article', 'drift-stream', el('h3', '', el('b'), el('span', 'verdict'), el('span', 'frames')), strip(), el('p', 'drift-said'), el('p', 'drift-accuracy'), el('div', 'drift-charts'), el('div', 'drift-frames')), (node, stream) => showStream(node, stream, alerts));
}

function showAlert(node, { source, status, started_at, resolved_at, sentence, examples }) {
  const [title, why, frames] = node.children;
  node.dataset.status = status;
  const since = timeOfDay(new Date(started_at));
  setText(title, status === 'firing' ? `${source} has changed, since ${since}` : `${source} had changed, ${since} to ${timeOfDay(new Date(resolved_at))}`);
  setText(why, sentence);
  showFrames(frames, examples);
}

function showStream(node, { source, model, version, latest: five, hour, history }, alerts) {
  const [title, windows, said, accuracy, charts, frames] = node.children;
  // An alert may be of hours, whose five minutes each are as usual.
  const alarmed = alerts.some((alert) => alert.status === 'firing' && alert.source === source && alert.models.includes(`${model}@${version ?? ''}`));
  const latest = alarmed && five.verdict !== 'drifted' && hour?.verdict === 'drifted' ? { ...hour, accuracy: five.accuracy } : five;
  node.dataset.verdict = latest.verdict;
  setText(title.children[0], `${source} · ${model}${version ? `@${version}` : ''}`);
  setText(title.children[1], verdicts[latest.verdict] ?? words(latest.verdict));
  setText(title.children[2], `${count(latest.frames)} frames until ${timeOfDay(new Date(latest.end))}`);
  showStrip(windows, history);
  setText(said, latest.sentence ?? '');
  said.hidden = latest.sentence === null;
  accuracy.hidden = !latest.accuracy;
  if (latest.accuracy) setText(accuracy, toldOf(latest.accuracy));
  const moved = latest.features.filter((feature) => feature.moved);
  const unusual = latest.features.toSorted((a, b) => (a.p ?? 1) - (b.p ?? 1));
  sync(charts, (moved.length > 0 ? moved : unusual).filter(({ now }) => now.length > 0).slice(0, SHOWN), chart.make, chart.fill);
  showFrames(frames, latest.examples);
}

const toldOf = ({ estimate, low, high, normal }) => `About ${percent(estimate)} of its answers are right (${percent(low)} to ${percent(high)}, estimated without labels); normally ${percent(normal)}.`;

const svg = (tag) => document.createElementNS('http://www.w3.org/2000/svg', tag);

function strip() {
  const node = svg('svg');
  node.setAttribute('class', 'drift-strip');
  node.setAttribute('viewBox', `0 0 ${HOURS * 12} 1`);
  node.setAttribute('preserveAspectRatio', 'none');
  node.setAttribute('role', 'img');
  return node;
}

function showStrip(node, history) {
  const from = Date.now() - SPAN_MS;
  const x = (at) => ((Date.parse(at) - from) / SPAN_MS) * HOURS * 12;
  sync(node, history, () => svg('rect'), (rect, { start, end, verdict }) => {
    rect.setAttribute('x', x(start).toFixed(2));
    // A gap between windows, so that they can be told apart.
    rect.setAttribute('width', Math.max(0.4, x(end) - x(start) - 0.15).toFixed(2));
    rect.setAttribute('height', '1');
    rect.dataset.verdict = verdict;
  });
  const drifted = history.filter(({ verdict }) => verdict === 'drifted').length;
  node.setAttribute('aria-label', `${history.length} windows in 24 hours, ${drifted} of them changed`);
}
