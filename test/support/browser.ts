/** A real browser for the tests of the page: Debian's chromium, or one named by SACCADE_TEST_BROWSER. */
import { accessSync, constants } from 'node:fs';
import { chromium, type Browser } from 'playwright-core';
import { skipUnless } from './components.ts';

const places = [process.env.SACCADE_TEST_BROWSER, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

const found = places.find((path) => {
  try {
    accessSync(path ?? '', constants.X_OK);
    return path !== undefined;
  } catch {
    return false;
  }
});

export const needsBrowser = skipUnless(found !== undefined, 'a browser', 'apt-get install chromium, or name one in SACCADE_TEST_BROWSER');

/** Without the sandbox, which containers do not allow; the pages it opens are ours alone. */
export const openBrowser = (...args: readonly string[]): Promise<Browser> =>
  chromium.launch({ executablePath: found!, args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', ...args] });
