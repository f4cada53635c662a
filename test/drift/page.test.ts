import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { memoryBlobs } from '../../connectors/blobs/memory.ts';
import { openRepository } from '../../connectors/models/repository.ts';
import { readConfig } from '../../processors/config.ts';
import { keptPictures } from '../../processors/keep/kept-pictures.ts';
import { openMasking } from '../../processors/masking.ts';
import type { Drift } from '../../schemas/api/drift.ts';
import { realClock } from '../support/camera.ts';
import { needsBrowser, openBrowser } from '../support/browser.ts';
import { contrastFaults } from '../support/contrast.ts';
import { facesIn } from '../support/faces.ts';
import { fedPage, photo, tellDrift } from '../support/fed-page.ts';
import { modelsRoot } from '../support/models.ts';

const iso = (minutesAgo: number): string => new Date(Date.now() - minutesAgo * 60_000).toISOString();
const shares = (peak: number): number[] => Array.from({ length: 32 }, (_, i) => Math.exp(-((i - peak) ** 2) / 8) / 5);
const feature = (name: string, moved: boolean, more: object = {}) => ({
  name, group: 'input', statistic: 'psi', value: moved ? 2.4 : 0.02, p: moved ? 1e-6 : 0.4, q: moved ? 1e-5 : 0.5, moved,
  mean: 58.2, reference_mean: 117.4, edges: Array.from({ length: 33 }, (_, i) => i * 8), labels: [], now: shares(moved ? 7 : 15), reference: shares(15), ...more,
});
const window = (i: number) => ({ start: iso(5 * i + 6), end: iso(5 * i + 1), frames: 1500, verdict: i < 3 ? ('drifted' as const) : ('stable' as const), moved: i < 3 ? ['luma'] : [], accuracy: 0.71 });

const told: Drift = {
  alerts: [
    { id: '00000000-0000-8000-8000-000000000001', source: 'gate', kind: 'drift', status: 'firing', sentence: 'Pictures are darker (luma 58 instead of 117).', models: ['nanodet@1'], features: ['luma'], started_at: iso(16), changed_at: iso(6), resolved_at: null, examples: [] },
    { id: '00000000-0000-8000-8000-000000000002', source: '<i>yard</i>', kind: 'drift', status: 'resolved', sentence: "'cat' is 60 % of what is seen instead of 20 %.", models: ['nanodet@1'], features: ['class_mix'], started_at: iso(300), changed_at: iso(200), resolved_at: iso(200), examples: [] },
    { id: '00000000-0000-8000-8000-000000000003', source: 'lane', kind: 'drift', status: 'firing', sentence: 'Over an hour: pictures are brighter (luma 130 instead of 117).', models: ['nanodet@1'], features: ['luma'], started_at: iso(90), changed_at: iso(6), resolved_at: null, examples: [] },
  ],
  streams: [
    { source: 'gate', model: 'nanodet', version: '1', latest: { ...window(0), accuracy: { estimate: 0.71, low: 0.662, high: 0.748, normal: 0.83 }, reference: '3', sentence: 'Pictures are darker (luma 58 instead of 117).', examples: [], features: [feature('luma', true), feature('contrast', false), feature('class_mix', true, { edges: [], labels: ['person', 'car'], now: [0.8, 0.2], reference: [0.5, 0.5], mean: null, reference_mean: null })] }, hour: null, history: Array.from({ length: 200 }, (_, i) => window(199 - i)) },
    { source: 'yard', model: 'nanodet', version: '1', latest: { ...window(5), accuracy: null, verdict: 'no_reference', reference: null, sentence: null, examples: [], features: [] }, hour: null, history: [] },
    { source: 'lane', model: 'nanodet', version: '1', latest: { ...window(5), accuracy: null, reference: '1', sentence: null, examples: [], features: [feature('luma', false)] }, hour: { ...window(0), accuracy: null, reference: '1', sentence: 'Over an hour: pictures are brighter (luma 130 instead of 117).', examples: [], features: [feature('luma', true)] }, history: [] },
  ],
};

/** The sizes of the pictures that the browser has decoded. */
const drawn = "[...document.querySelectorAll('#drift-alerts .drift-frames img')].map(({ naturalWidth, naturalHeight }) => [naturalWidth, naturalHeight])";

describe('the panel of drift', { skip: needsBrowser, timeout: 120_000 }, () => {
  let browser: Browser;
  before(async () => void (browser = await openBrowser()));
  after(() => browser.close());

  for (const colorScheme of ['light', 'dark'] as const) {
    test(`shows alerts, windows and charts, readable and within the page (${colorScheme})`, async () => {
      tellDrift(told);
      const fed = await fedPage();
      try {
        const page = await (await browser.newContext({ viewport: { width: 1280, height: 900 }, colorScheme })).newPage();
        const complaints: string[] = [];
        page.on('pageerror', (error) => complaints.push(error.message));
        await page.goto(fed.url);
        const panel = page.locator('#drift-panel');
        await panel.getByText('gate has changed, since').waitFor();
        assert.equal(await panel.getByText('Pictures are darker (luma 58 instead of 117).').count(), 2);
        // What strangers name is text.
        await panel.getByText('<i>yard</i> had changed').waitFor();
        assert.equal(await panel.locator('.drift-strip').first().locator('rect').count(), 200);
        assert.match((await panel.locator('.drift-strip').first().getAttribute('aria-label'))!, /200 windows in 24 hours, 3 of them changed/);
        assert.deepEqual(await panel.locator('.drift-stream').first().locator('figcaption b').allInnerTexts(), ['luma', 'class mix']);
        assert.match(await panel.locator('figcaption').first().innerText(), /58, normally 117/);
        assert.match(await panel.locator('.drift-accuracy').first().innerText(), /71 % of its answers are right \(66 % to 75 %, estimated without labels\); normally 83 %/);
        assert.equal(await panel.locator('.drift-accuracy:visible').count(), 1, 'of what is not calibrated nothing is said');
        await panel.getByText('nothing said to be normal yet').waitFor();
        // Its five minutes are as usual, its hour is not.
        assert.equal(await panel.locator('.drift-stream[data-verdict=drifted]').filter({ hasText: 'lane' }).getByText('Over an hour: pictures are brighter').count(), 1);
        assert.deepEqual(await page.evaluate(contrastFaults), []);
        await page.setViewportSize({ width: 360, height: 800 });
        assert.deepEqual(await page.evaluate("[...document.querySelectorAll('#drift-panel *')].filter((node) => node.getBoundingClientRect().right > innerWidth).map((node) => `${node.tagName} ${node.className.baseVal ?? node.className}`)"), []);
        assert.deepEqual(complaints, []);
        if (process.env.SACCADE_TEST_SCREENSHOTS) {
          await page.setViewportSize({ width: 1280, height: 900 });
          await panel.screenshot({ path: `${process.env.SACCADE_TEST_SCREENSHOTS}/drift-${colorScheme}.png` });
        }
      } finally {
        tellDrift({ alerts: [], streams: [] });
        await fed.stop();
      }
    });
  }

  test('shows the frames of an alert as they are kept, faces covered, and says what is kept no more', async () => {
    const repository = openRepository(modelsRoot);
    const settings = readConfig([], { SACCADE_MASK_FACES: 'pixelate', SACCADE_MODELS_DIR: modelsRoot }, '/nonexistent').settings;
    const masking = openMasking({ settings, repository, engine: null, clock: realClock });
    const pictures = keptPictures({ blobs: memoryBlobs(), masker: masking.masker });
    const [kept, gone] = ['00000000-0000-8000-8000-00000000000a', '00000000-0000-8000-8000-00000000000b'];
    await pictures.put('default', kept, photo('astronaut'));
    const examples = [kept, gone];
    tellDrift({ ...told, alerts: told.alerts.slice(0, 2).map((alert) => ({ ...alert, examples })) });
    const fed = await fedPage({ kept: { shown: pictures.get, fromLog: async () => null } });
    try {
      const page = await (await browser.newContext({ viewport: { width: 1280, height: 900 } })).newPage();
      await page.goto(fed.url);
      const alerts = page.locator('#drift-alerts');
      await alerts.locator('img').nth(1).waitFor();
      assert.equal(await alerts.locator('img').count(), 2, 'one kept frame of two, of the alert that fires and of the one that is over');
      await page.waitForFunction(`${drawn}.every(([width]) => width > 0)`);
      assert.deepEqual(await page.evaluate(drawn), [[512, 512], [512, 512]]);
      assert.match(await alerts.locator('.drift-frames').first().innerText(), /1 of 2 frames cannot be shown: The picture of this frame is neither kept nor in the log any more\./);
      // What the browser was given: nobody's face is in it.
      const answer = await fetch(`${fed.url}/v1/frames/${kept}/image`);
      const bytes = Buffer.from(await answer.arrayBuffer());
      assert.deepEqual([answer.status, answer.headers.get('content-type')], [200, 'image/jpeg']);
      assert.ok(!bytes.equals(photo('astronaut')), `${bytes.length} bytes as they came`);
      assert.equal((await facesIn(photo('astronaut'))).length, 1);
      assert.deepEqual(await facesIn(bytes), []);
      assert.equal((await fetch(`${fed.url}/v1/frames/${gone}/image`)).status, 404);
      if (process.env.SACCADE_TEST_SCREENSHOTS) await page.locator('#drift-panel').screenshot({ path: `${process.env.SACCADE_TEST_SCREENSHOTS}/drift-frames.png` });
    } finally {
      tellDrift({ alerts: [], streams: [] });
      await fed.stop();
      await masking.close();
    }
  });
});
