/** The grid of cameras: each a canvas with the newest frame, its boxes, its classes and its pace. */
import { authorised } from './access.js';
import { fillClasses, fillCounts } from './answers.js';
import { byId, setText } from './dom.js';
import { amount, duration, percent, words } from './format.js';
import { drawPicture } from './picture.js';

/** Text that changes with every frame can't be read; the picture itself follows each. */
const WORDS_EVERY_MS = 300;
const SPOKEN_EVERY_MS = 2_000;
const UNKNOWN_SIZE = { width: 640, height: 480 };

const cards = new Map();

export function showFrame(frame) {
  let card = cards.get(frame.source);
  if (!card) {
    card = newCard(frame.source);
    cards.set(frame.source, card);
  }
  // Only the newest is fetched: a page behind a slow line shows fewer frames, not older ones.
  card.next = frame;
  if (!card.busy) void follow(card);
}

/** Pace and age of each source, once a second; a source that the pipeline no longer lists goes. */
export function showPace(sources, at) {
  const known = new Map(sources.map((source) => [source.source, source]));
  for (const [name, card] of cards) {
    const pace = known.get(name);
    if (!pace) {
      card.node.remove();
      cards.delete(name);
      continue;
    }
    const quiet = at - pace.last_at > 5_000;
    setText(card.fps, quiet ? `last ${duration(at - pace.last_at)} ago` : `${amount(pace.rate)} fps`);
    card.node.classList.toggle('quiet', quiet);
  }
  arrange(sources.length > 0);
}

function newCard(name) {
  const node = byId('source-template').content.firstElementChild.cloneNode(true);
  const find = (selector) => node.querySelector(selector);
  setText(find('h2'), name);
  const card = {
    name, node,
    canvas: find('canvas'), note: find('.note'), fps: find('.fps'), ms: find('.ms'), classes: find('.classes'), counts: find('.counts'),
    busy: false, next: null, frame: null, image: null, wordsAt: -Infinity, spokenAt: -Infinity, later: undefined,
  };
  // By name, so that cameras keep their places whatever order they come in.
  const after = [...cards.values()].find((other) => other.name > name);
  byId('sources').insertBefore(node, after ? after.node : null);
  new ResizeObserver(() => draw(card)).observe(card.canvas);
  queueMicrotask(arrange);
  return card;
}

function arrange(expected = false) {
  byId('no-frames').hidden = cards.size > 0;
  // Answers come, but about pictures taken before this page looked: a pipeline that is behind gets to the newer ones later.
  byId('no-frames').dataset.waiting = expected;
  byId('sources').dataset.count = cards.size > 4 ? 'crowd' : cards.size > 1 ? 'few' : 'one';
}

async function follow(card) {
  card.busy = true;
  while (card.next) {
    const frame = card.next;
    card.next = null;
    const { image, why } = frame.picture ? await fetchPicture(frame.frame_id) : NOT_HELD;
    // Without its picture a frame's boxes would lie on another one; better to keep what is shown.
    if (!image && card.image) continue;
    card.image?.close();
    Object.assign(card, { frame, image, why });
    await new Promise(requestAnimationFrame);
    draw(card);
    write(card);
  }
  card.busy = false;
}

const NOT_HELD = { image: null, why: 'the picture is not held' };

async function fetchPicture(id) {
  try {
    const response = await authorised(`/live/frames/${encodeURIComponent(id)}`);
    if (response.ok) return { image: await createImageBitmap(await response.blob()) };
    // Where faces are to be covered and cannot be, this says so.
    return response.status === 503 ? { image: null, why: (await response.json()).title } : NOT_HELD;
  } catch {
    return NOT_HELD; // gone meanwhile, or the connection is: the stream says so by itself
  }
}

const detectionsOf = (frame) => Object.values(frame.models).flatMap((answer) => answer.detections);

function draw({ canvas, frame, image }) {
  if (!frame) return;
  const size = frame.width && frame.height ? frame : image ?? UNKNOWN_SIZE;
  // Side by side, one shape for all keeps the rows even.
  drawPicture(canvas, image, size, detectionsOf(frame), cards.size > 1 ? 4 / 3 : undefined);
}

function write(card) {
  const { frame, image } = card;
  const now = performance.now();
  if (now - card.wordsAt < WORDS_EVERY_MS) {
    // The last frame of all is written too, only later.
    card.later ??= setTimeout(() => write(card), WORDS_EVERY_MS);
    return;
  }
  clearTimeout(card.later);
  card.later = undefined;
  card.wordsAt = now;
  const answers = Object.entries(frame.models);
  setText(card.ms, duration(Math.max(...answers.map(([, answer]) => answer.latency_ms))));
  const classes = answers.filter(([, { labels }]) => labels.length > 0).map(([model, { labels }]) => ({ model, labels }));
  fillClasses(card.classes, classes);
  fillCounts(card.counts, detectionsOf(frame));
  const ended = answers.filter(([, { status }]) => status !== 'ok');
  const note = ended.length > 0 ? ended.map(([model, { status, reason }]) => `${model}: ${words(status)}, ${words(reason ?? 'no reason given')}`).join('\n') : image ? '' : card.why;
  setText(card.note, note);
  card.note.hidden = note === '';
  if (now - card.spokenAt > SPOKEN_EVERY_MS) {
    card.spokenAt = now;
    card.canvas.setAttribute('aria-label', spoken(card.name, classes, detectionsOf(frame)));
  }
}

function spoken(name, classes, detections) {
  const found = [...detections, ...classes.flatMap(({ labels }) => labels.slice(0, 1))];
  return `${name}: ${found.map(({ label, score }) => `${label} ${percent(score)}`).join(', ') || 'nothing recognised'}`;
}
