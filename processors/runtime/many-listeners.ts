import { setMaxListeners } from 'node:events';

/** Of what each batch in work listens to: Node takes more than ten listeners for a leak, and says so on the terminal. */
export function manyListeners(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}
