/** Pictures of frames that are long past, asked for with the page's key, which an image's address could not carry. */
import { authorised } from './access.js';
import { el, setText } from './dom.js';

/** Shows the pictures of these frames in the node; those that are there already stay. What is no longer kept is counted below. */
export function showFrames(node, ids) {
  const key = ids.join(' ');
  if (node.dataset.ids === key) return;
  node.dataset.ids = key;
  for (const link of node.querySelectorAll('a[href]')) URL.revokeObjectURL(link.href);
  if (ids.length === 0) return node.replaceChildren();
  const note = el('p', '');
  note.hidden = true;
  const links = ids.map(() => el('a', ''));
  node.replaceChildren(...links, note);
  void fill(node, key, links, note, ids);
}

async function fill(node, key, links, note, ids) {
  const found = await Promise.all(ids.map(pictureOf));
  // Others are to be shown by now.
  if (node.dataset.ids !== key) return found.forEach(({ url }) => url && URL.revokeObjectURL(url));
  found.forEach(({ url }, i) => {
    if (!url) return links[i].remove();
    const image = el('img');
    image.alt = 'A frame that shows it';
    image.src = url;
    links[i].append(image);
    Object.assign(links[i], { href: url, target: '_blank' });
  });
  const missing = found.filter(({ url }) => !url);
  note.hidden = missing.length === 0;
  setText(note, missing.length === 0 ? '' : `${missing.length} of ${ids.length} frames cannot be shown: ${missing[0].why}`);
}

async function pictureOf(id) {
  try {
    const response = await authorised(`/v1/frames/${encodeURIComponent(id)}/image`);
    if (response.ok) return { url: URL.createObjectURL(await response.blob()) };
    const { detail, title } = await response.json();
    return { why: detail || title };
  } catch {
    return { why: 'the server does not answer' };
  }
}
