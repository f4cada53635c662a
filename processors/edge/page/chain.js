/** The stages as a chain: models that run side by side share a place in it. */
import { byId, el, setText, sync } from './dom.js';
import { amount, count } from './format.js';

/** A stage is behind when what waits is more than so many seconds of its work (and more than a handful). */
const BEHIND_SECONDS = 5;
const HANDFUL = 20;

export function showChain(stages) {
  const places = [];
  for (const stage of stages) {
    const [family] = stage.stage.split('.', 1);
    const last = places.at(-1);
    if (last?.family === family) last.stages.push(stage);
    else places.push({ family, stages: [stage] });
  }
  sync(
    byId('chain'),
    places,
    () => el('li', 'place'),
    (place, { stages: here }) => {
      place.classList.toggle('flows', here.some(({ rate }) => rate > 0));
      sync(place, here, newStage, fillStage);
    },
  );
}

const newStage = () =>
  el('div', 'stage', el('p', 'stage-name'), el('p', 'stage-rate', el('b'), el('span', '', ' /s')), el('p', 'stage-lag'));

function fillStage(node, { stage, topic, rate, lag }) {
  const [name, pace, waiting] = node.children;
  const dot = stage.indexOf('.');
  name.replaceChildren(...(dot < 0 ? [stage] : [el('span', 'family', stage.slice(0, dot)), ' ', stage.slice(dot + 1)]));
  name.title = `reads ${topic}`;
  setText(pace.firstChild, amount(rate));
  const behind = lag !== null && lag > Math.max(HANDFUL, (rate ?? 0) * BEHIND_SECONDS);
  setText(waiting, lag === null ? 'lag unknown' : `${behind ? 'behind: ' : ''}lag ${count(lag)}`);
  node.dataset.state = lag === null ? 'unknown' : behind ? 'behind' : rate > 0 ? 'flows' : 'idle';
}
