/** The page where a key is needed: it asks for one, says when it is wrong, keeps it for the tab, and shows what it shows without. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { needsBrowser, openBrowser } from './support/browser.ts';
import { anyDatabase, type ClosedEdge, startClosedEdge, type TestDatabase } from './support/closed-edge.ts';
import { parseKey } from '../processors/access/key.ts';

describe('the page and its key', { skip: needsBrowser, timeout: 120_000 }, () => {
  let browser: Browser;
  let database: TestDatabase;
  let edge: ClosedEdge;
  before(async () => {
    [browser, database] = await Promise.all([openBrowser('--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream'), anyDatabase()]);
    edge = await startClosedEdge(database);
  });
  after(async () => {
    await browser.close();
    await edge.close();
    await database.stop();
  });

  test('asks, says no to a wrong one, works with a right one, also after a reload, and asks again when it is revoked', async () => {
    const key = await edge.key('one', 'operator');
    const context = await browser.newContext();
    const page = await context.newPage();
    page.setDefaultTimeout(20_000);
    const urls: string[] = [];
    page.on('request', (request) => urls.push(request.url()));
    await page.goto(edge.url);
    await page.getByText('This pipeline asks for a key.').waitFor();
    await page.locator('#key').fill(`sac_${'n'.repeat(16)}_${'n'.repeat(43)}`);
    await page.getByRole('button', { name: 'Use this key' }).click();
    await page.getByText('This key is not accepted').waitFor();
    await page.locator('#key').fill(key);
    await page.getByRole('button', { name: 'Use this key' }).click();
    await page.getByText('live', { exact: true }).waitFor();
    assert.equal(await page.locator('#access').isVisible(), false);
    // A picture of the viewer's own, with the same key.
    await page.locator('#file').setInputFiles('media/coffee.jpg');
    await page.locator('#answer').getByText('espresso').first().waitFor();

    await page.reload();
    await page.getByText('live', { exact: true }).waitFor();
    assert.equal(await page.locator('#access').isVisible(), false, 'kept for the tab');
    const other = await (await browser.newContext()).newPage();
    await other.goto(edge.url);
    await other.getByText('This pipeline asks for a key.').waitFor();
    assert.ok(urls.every((url) => !url.includes(parseKey(key)!.secret)), 'never in a URL');

    await edge.metadata.access.revokeKey(parseKey(key)!.id, null);
    await page.locator('#file').setInputFiles('media/chelsea.jpg');
    await page.getByText('This key is not accepted').waitFor();
    await context.close();
  });

  test('a video whose key is revoked says that one is needed, and ends', async () => {
    const key = await edge.key('one', 'operator');
    const context = await browser.newContext({ permissions: ['camera'] });
    const page = await context.newPage();
    page.setDefaultTimeout(20_000);
    const sockets: string[] = [];
    page.on('websocket', (socket) => sockets.push(new URL(socket.url()).pathname));
    await page.goto(edge.url);
    await page.locator('#key').fill(key);
    await page.getByRole('button', { name: 'Use this key' }).click();
    await page.locator('#video-model option').nth(1).waitFor({ state: 'attached' });
    await page.getByRole('button', { name: 'Webcam' }).click();
    await page.locator('#video-pace').getByText('fps').waitFor();
    await edge.metadata.access.revokeKey(parseKey(key)!.id, null);
    await page.locator('#video-problem').getByText('A key is needed').waitFor();
    await page.getByRole('button', { name: 'Stop' }).waitFor({ state: 'hidden' });
    await page.getByText('This key is not accepted').waitFor();
    assert.deepEqual(sockets, ['/v1/stream'], 'it does not ask again and again');
    await context.close();
  });

  test('a key that may only read opens no video, and the page says why', async () => {
    const context = await browser.newContext({ permissions: ['camera'] });
    const page = await context.newPage();
    page.setDefaultTimeout(20_000);
    await page.goto(edge.url);
    await page.locator('#key').fill(await edge.key('one', 'viewer'));
    await page.getByRole('button', { name: 'Use this key' }).click();
    await page.locator('#video-model option').nth(1).waitFor({ state: 'attached' });
    await page.getByRole('button', { name: 'Webcam' }).click();
    await page.locator('#video-problem').getByText('needs the role operator').waitFor();
    await page.getByRole('button', { name: 'Stop' }).waitFor({ state: 'hidden' });
    await context.close();
  });
});
