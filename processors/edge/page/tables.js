/** The last predictions, and how frames ended that got none. */
import { byId, el, setText, sync } from './dom.js';
import { count, duration, NONE, time, timeOfDay, words } from './format.js';

let held = false;

export function startTables() {
  const button = byId('hold');
  button.addEventListener('click', () => {
    held = !held;
    button.setAttribute('aria-pressed', `${held}`);
    setText(button, held ? 'Go on' : 'Hold');
  });
}

const row = (cells) => () => el('tr', '', ...Array.from({ length: cells }, () => el('td')));

export function showRecent(recent) {
  byId('no-recent').hidden = recent.length > 0;
  if (held) return;
  sync(byId('recent'), recent, row(6), (node, prediction) => {
    const [at, source, model, what, score, ms] = node.children;
    const { status, reason, more } = prediction;
    const [seconds, tenths] = time(prediction.at);
    if (at.textContent !== seconds + tenths) at.replaceChildren(seconds, el('span', 'tenths', tenths));
    setText(source, prediction.source);
    setText(model, prediction.model);
    setText(what, status === 'ok' ? `${prediction.what ?? 'nothing found'}${more > 0 ? ` +${more}` : ''}` : `${words(status)}: ${words(reason ?? 'no reason given')}`);
    setText(score, prediction.score === null ? NONE : prediction.score.toFixed(2));
    setText(ms, duration(prediction.latency_ms));
    node.dataset.status = status;
    node.classList.toggle('nothing-found', status === 'ok' && prediction.what === null);
  });
}

export function showEndings(endings, since) {
  byId('endings-panel').hidden = endings.length === 0;
  setText(byId('since'), `since ${timeOfDay(since)}`);
  sync(byId('endings'), endings, row(4), (node, { status, reason, stage, count: frames }) => {
    const [how, why, where, many] = node.children;
    setText(how, words(status));
    setText(why, words(reason || NONE));
    setText(where, stage || NONE);
    setText(many, count(frames));
    node.dataset.status = status;
  });
}
