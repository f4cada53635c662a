/** A picture of the viewer's own: sent to POST /v1/infer, its answers drawn on it. */
import { authorised } from './access.js';
import { fillClasses } from './answers.js';
import { byId, el, setText, sync } from './dom.js';
import { drawPicture } from './picture.js';

const ALL = '';
let models = [];
let shown = null; // {image, detections}

export function startAsk() {
  const drop = byId('drop');
  const file = byId('file');
  file.addEventListener('change', () => {
    if (file.files[0]) void ask(file.files[0]);
    file.value = ''; // choosing the same one again asks again
  });
  for (const type of ['dragenter', 'dragover']) {
    drop.addEventListener(type, (event) => {
      event.preventDefault();
      drop.classList.add('over');
    });
  }
  drop.addEventListener('dragleave', (event) => {
    if (!drop.contains(event.relatedTarget)) drop.classList.remove('over');
  });
  drop.addEventListener('drop', (event) => {
    event.preventDefault();
    drop.classList.remove('over');
    const dropped = event.dataTransfer.files[0];
    if (dropped) void ask(dropped);
  });
  // A picture dropped beside the zone would otherwise replace the page.
  for (const type of ['dragover', 'drop']) addEventListener(type, (event) => event.preventDefault());
  byId('ask').addEventListener('submit', (event) => event.preventDefault());
  new ResizeObserver(draw).observe(byId('asked'));
}

export function offerModels(found) {
  if (found.join() === models.join() && byId('model').children.length > 0) return;
  models = found;
  sync(byId('model'), [ALL, ...models], () => el('option'), (option, model) => {
    option.value = model;
    setText(option, model === ALL ? 'every model' : model);
  });
}

function draw() {
  if (shown) drawPicture(byId('asked'), shown.image, shown.image, shown.detections);
}

async function ask(file) {
  const answer = byId('answer');
  const took = byId('ask-took');
  answer.replaceChildren();
  setText(took, 'asking…');
  const image = await createImageBitmap(file).catch(() => null);
  shown?.image.close();
  shown = image ? { image, detections: [] } : null;
  byId('asked').hidden = !image;
  byId('drop').classList.toggle('filled', Boolean(image));
  draw();

  const wanted = byId('model').value === ALL && models.length > 0 ? models : [byId('model').value];
  const begin = performance.now();
  const results = await Promise.all(wanted.map((model) => inferOne(file, model)));
  setText(took, `${Math.round(performance.now() - begin)} ms`);

  const detections = results.flatMap((result) => result.detections ?? []);
  // Another picture may have been asked about meanwhile.
  if (image && shown?.image === image) {
    shown.detections = detections;
    draw();
  }
  const classes = el('div', 'classes');
  fillClasses(classes, results.filter((result) => result.predictions).map(({ model, predictions }) => ({ model, labels: predictions })));
  const found = results.filter((result) => result.detections).map(({ model, detections: list }) => el('p', 'found', el('b', '', model), ` ${summary(list)}`));
  answer.replaceChildren(...results.filter((result) => result.problem).map(problemNode), ...found, classes);
}

async function inferOne(file, model) {
  const body = new FormData();
  body.append('image', file);
  const query = model === '' ? '' : `?model=${encodeURIComponent(model)}`;
  try {
    const response = await authorised(`/v1/infer${query}`, { method: 'POST', body });
    const answer = await response.json();
    return response.ok ? answer : { model, problem: answer };
  } catch {
    return { model, problem: { title: 'No answer.', detail: 'The connection to the pipeline is lost, or what answered is not Saccade.' } };
  }
}

function summary(detections) {
  const counts = new Map();
  for (const { label } of detections) counts.set(label, (counts.get(label) ?? 0) + 1);
  return [...counts].map(([label, count]) => (count > 1 ? `${count} × ${label}` : label)).join(', ') || 'found nothing';
}

const problemNode = ({ model, problem }) =>
  el('p', 'problem', el('b', '', problem.title ?? 'The request failed.'), ` ${problem.detail ?? ''}`, ...(model ? [el('small', '', ` (${model})`)] : []));
