/** Where a key is needed: a field to enter it, kept for this tab alone, and sent with whatever the page asks. */
import { byId, setText } from './dom.js';

const KEPT = 'saccade-key';
const UPGRADE_REQUIRED = 426;
let key = read();
let waiting = null;

function read() {
  try {
    return sessionStorage.getItem(KEPT) ?? '';
  } catch {
    return ''; // storage is forbidden: the key lasts as long as the page
  }
}

function keep(value) {
  key = value;
  try {
    if (value === '') sessionStorage.removeItem(KEPT);
    else sessionStorage.setItem(KEPT, value);
  } catch {
    // as above
  }
}

const withKey = (init) => (key === '' ? init : { ...init, headers: { ...init.headers, authorization: `Bearer ${key}` } });

/** `fetch` with the key; where one is needed, or another one, it asks for it and then again. `init.body` must be fit to be sent twice. */
export async function authorised(url, init = {}) {
  for (;;) {
    const sent = key;
    const response = await fetch(url, withKey(init));
    if (response.status !== 401) return response;
    await response.body?.cancel();
    // Another request may have been given the right one meanwhile.
    if (key === sent) await askForKey(sent !== '', init.signal);
    init.signal?.throwIfAborted();
  }
}

/** Why this was refused, in words; `final`: and will be again; `afterMs`: when it may be tried otherwise. */
async function refusalOf(response) {
  const final = response.status < 500 && response.status !== 429;
  const afterMs = 1_000 * (Number(response.headers.get('retry-after')) || 0);
  const { title, detail } = await response.json().catch(() => ({}));
  const why = response.status === 401 ? 'A key is needed: enter one, and start again.' : (detail ?? title ?? `It was refused with ${response.status}.`);
  return Object.assign(new Error(why), { final, afterMs });
}

/**
 * Why a WebSocket to this path is not opened, which the browser tells no page: the same is asked for as a plain request, which is refused
 * alike. Null: it is not, or nothing answers.
 */
export async function whyRefused(path) {
  const response = await fetch(path, withKey({})).catch(() => null);
  return response === null || response.ok || response.status === UPGRADE_REQUIRED ? null : refusalOf(response);
}

/** A URL for a WebSocket, to which a page cannot give headers: with a ticket, where a key is needed. Rejects as `whyRefused` resolves. */
export async function withTicket(url) {
  if (key === '') return url;
  const response = await authorised('/v1/tickets', { method: 'POST' });
  if (!response.ok) throw await refusalOf(response);
  const { ticket } = await response.json();
  return `${url}${url.includes('?') ? '&' : '?'}ticket=${encodeURIComponent(ticket)}`;
}

/** Resolves when a key was entered, or when whoever waits for it gives up. */
function askForKey(wrong, signal) {
  const form = byId('access');
  setText(byId('access-why'), wrong ? 'This key is not accepted: it is unknown, expired or revoked.' : 'This pipeline asks for a key.');
  waiting ??= new Promise((resolve) => {
    form.hidden = false;
    byId('key').focus();
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      keep(byId('key').value.trim());
      byId('key').value = '';
      form.hidden = true;
      waiting = null;
      resolve();
    }, { once: true });
  });
  const givenUp = new Promise((resolve) => signal?.addEventListener('abort', resolve, { once: true }));
  return Promise.race([waiting, givenUp]);
}
