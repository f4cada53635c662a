/** What models found, written beside a picture. */
import { colourOf } from './colour.js';
import { el, setText, sync } from './dom.js';
import { percent } from './format.js';

const TOP = 5;

/** `groups`: [{model, labels: [{label, score}]}] of the models that classify; best first, as bars. */
export function fillClasses(parent, groups) {
  sync(
    parent,
    groups,
    () => el('section', 'class-group', el('h3'), el('ol')),
    (section, { model, labels }) => {
      setText(section.firstChild, model);
      sync(
        section.lastChild,
        labels.slice(0, TOP),
        () => el('li', '', el('span', 'label'), el('span', 'score'), el('span', 'bar', el('i'))),
        (item, { label, score }) => {
          const [name, number, bar] = item.children;
          setText(name, label);
          name.title = label;
          setText(number, percent(score));
          bar.firstChild.style.transform = `scaleX(${Math.max(0.004, Math.min(1, score))})`;
        },
      );
    },
  );
}

/** How many of each class were detected, most first. */
export function fillCounts(parent, detections) {
  const counts = new Map();
  for (const { label } of detections) counts.set(label, (counts.get(label) ?? 0) + 1);
  const sorted = [...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1));
  sync(
    parent,
    sorted,
    () => el('li', '', el('i'), el('b'), el('span')),
    (item, [label, count]) => {
      const [swatch, number, name] = item.children;
      swatch.style.background = colourOf(label);
      setText(number, `${count}`);
      setText(name, label);
    },
  );
}
