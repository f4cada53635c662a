/** The few DOM operations the page repeats. Text is only ever set as text: labels and names come from outside. */

export const byId = (id) => document.getElementById(id);

/** `el('p', 'note', 'text')`, `el('li', '', child, child)`. */
export function el(tag, className, ...content) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...content);
  return node;
}

/** Touches the document only when something changed: most numbers stay the same from one second to the next. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Makes `parent` have one child for each item; `make` creates one, `fill(child, item, index)` writes it. */
export function sync(parent, items, make, fill) {
  while (parent.children.length > items.length) parent.lastElementChild.remove();
  while (parent.children.length < items.length) parent.append(make());
  items.forEach((item, index) => fill(parent.children[index], item, index));
}
