/** Names of this machine, and names that only look like one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isThisMachine, isThisMachineToBrowsers, withoutPort } from '../schemas/this-machine.ts';
import { isTrustworthy } from '../schemas/trustworthy-url.ts';

test('names of this machine are told from those that look like one', () => {
  for (const host of ['localhost', 'LOCALHOST', '127.0.0.1', '127.1.2.3', '::1', '[::1]']) assert.ok(isThisMachine(host), host);
  for (const host of ['', '0.0.0.0', '128.0.0.1', '127.0.0.1.example.org', '127.0.0.256', 'localhost.example.org', 'evil-localhost', '127.example.org', '[::2]', 'a.localhost']) assert.ok(!isThisMachine(host), host);
  assert.deepEqual(['app.localhost', 'a.b.localhost', 'localhost', '.localhost', 'xlocalhost'].map(isThisMachineToBrowsers), [true, true, true, false, false]);
  assert.deepEqual(['localhost:80', '[::1]:8080', '[::1]', '127.0.0.1'].map(withoutPort), ['localhost', '[::1]', '[::1]', '127.0.0.1']);
});

test('HTTP is trusted on this machine alone', () => {
  for (const url of ['https://example.org', 'http://localhost:1', 'http://127.0.0.9/x', 'http://[::1]:9']) assert.ok(isTrustworthy(url), url);
  for (const url of ['http://example.org', 'http://idp.localhost', 'http://localhost@example.org', 'ftp://localhost', 'nonsense']) assert.ok(!isTrustworthy(url), url);
});
