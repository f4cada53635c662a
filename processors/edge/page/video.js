/** The viewer's own video, from a webcam or a file, as a live source: sent over /v1/stream, boxes drawn on what was sent. */
import { fillClasses, fillCounts } from './answers.js';
import { byId, el, setText, sync } from './dom.js';
import { amount, duration } from './format.js';
import { drawPicture } from './picture.js';
import { openStream } from './stream.js';

const MOST_FPS = 20;
const WIDEST = 640;
const QUALITY = 0.8;
const PACE_EVERY_MS = 500;
const SOURCE = `page-${Math.random().toString(36).slice(2, 8)}`;

let models = [];
let running = null;

export function startVideo() {
  byId('video-webcam').addEventListener('click', () => void play(webcam));
  byId('video-file').addEventListener('change', ({ target }) => {
    const [file] = target.files;
    if (file) void play(() => fileVideo(file));
    target.value = ''; // choosing the same one again plays it again
  });
  byId('video-stop').addEventListener('click', () => stop());
  byId('video-model').addEventListener('change', () => running && void play(running.open));
  new ResizeObserver(draw).observe(byId('video-canvas'));
}

export function offerVideoModels(found) {
  if (found.join() === models.join()) return;
  models = found;
  const select = byId('video-model');
  const chosen = select.value;
  sync(select, models, () => el('option'), (option, model) => {
    option.value = model;
    setText(option, model);
  });
  // As models come: detectors are named last, and boxes are what a video is for.
  select.value = models.includes(chosen) ? chosen : (models.at(-1) ?? '');
}

async function webcam() {
  // Only pages of this machine and of https have it.
  if (!navigator.mediaDevices) throw new Error('The browser gives the webcam only to pages on https or on localhost.');
  const stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: WIDEST } }, audio: false });
  return { set: (video) => (video.srcObject = stream), release: () => stream.getTracks().forEach((track) => track.stop()) };
}

async function fileVideo(file) {
  const url = URL.createObjectURL(file);
  return { set: (video) => (video.src = url), release: () => URL.revokeObjectURL(url) };
}

function complain(text) {
  setText(byId('video-problem'), text);
  byId('video-problem').hidden = text === '';
}

function stop() {
  running?.end();
  running = null;
  show(false);
  setText(byId('video-pace'), '');
}

function show(playing) {
  byId('video-stop').hidden = !playing;
  if (playing) byId('video-stage').hidden = false;
}

async function play(open) {
  stop();
  complain('');
  const video = Object.assign(document.createElement('video'), { muted: true, loop: true, playsInline: true });
  let input;
  try {
    input = await open();
    input.set(video);
    await video.play();
  } catch (error) {
    input?.release();
    return complain(error.name === 'NotAllowedError' ? 'The webcam was not allowed.' : `The video cannot be shown: ${error.message}`);
  }
  const stream = openStream({ source: SOURCE, model: byId('video-model').value }, {
    result: (message) => mine === running && answer(mine, message),
    error: (message) => mine === running && (forget(mine, message.sequence), complain(message.detail ?? message.title)),
    dropped: (message) => mine === running && (forget(mine, message.sequence), mine.dropped++),
    lost: (reason) => mine === running && complain(reason),
    ended: (reason) => mine === running && (stop(), complain(reason)),
  });
  const mine = {
    open, stream, video, sent: new Map(), shown: null, came: [], dropped: 0, pacedAt: 0,
    end() {
      clearInterval(timer);
      stream.close();
      video.pause();
      input.release();
      for (const { image } of mine.sent.values()) image.close();
    },
  };
  const timer = setInterval(() => void send(mine), 1000 / MOST_FPS);
  running = mine;
  show(true);
}

const work = document.createElement('canvas');

async function send(mine) {
  const { video, stream } = mine;
  if (mine.busy || !stream.ready || video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) return;
  mine.busy = true;
  try {
    const scale = Math.min(1, WIDEST / video.videoWidth);
    const [width, height] = [video.videoWidth, video.videoHeight].map((side) => Math.round(side * scale));
    if (work.width !== width || work.height !== height) Object.assign(work, { width, height });
    const at = Date.now();
    work.getContext('2d').drawImage(video, 0, 0, width, height);
    const [image, blob] = await Promise.all([createImageBitmap(work), new Promise((resolve) => work.toBlob(resolve, 'image/jpeg', QUALITY))]);
    const bytes = await blob.arrayBuffer();
    // It may have been stopped or cut off meanwhile.
    if (mine === running && stream.ready) mine.sent.set(stream.send(bytes, at), { image, at });
    else image.close();
  } finally {
    mine.busy = false;
  }
}

/** Pictures up to this one are no longer needed: outcomes come in order. */
function forget(mine, sequence) {
  for (const [number, { image }] of mine.sent) {
    if (number > sequence) break;
    image.close();
    mine.sent.delete(number);
  }
}

function answer(mine, message) {
  const sent = mine.sent.get(message.sequence);
  if (!sent) return;
  mine.sent.delete(message.sequence);
  forget(mine, message.sequence);
  mine.shown?.image.close();
  mine.shown = { image: sent.image, detections: message.detections ?? [] };
  complain('');
  draw();
  const now = performance.now();
  mine.came.push({ now, ms: Date.now() - sent.at });
  if (now - mine.pacedAt < PACE_EVERY_MS) return;
  mine.pacedAt = now;
  mine.came = mine.came.filter((one) => now - one.now < 2_000);
  const ms = mine.came.reduce((sum, one) => sum + one.ms, 0) / mine.came.length;
  const fps = mine.came.length > 1 ? (mine.came.length - 1) / ((now - mine.came[0].now) / 1000) : null;
  setText(byId('video-pace'), `${amount(fps)} fps, ${duration(ms)}${mine.dropped > 0 ? `, ${mine.dropped} left out` : ''}`);
  fillClasses(byId('video-classes'), message.predictions ? [{ model: message.model, labels: message.predictions }] : []);
  fillCounts(byId('video-counts'), message.detections ?? []);
}

function draw() {
  const shown = running?.shown;
  if (shown) drawPicture(byId('video-canvas'), shown.image, shown.image, shown.detections);
}
