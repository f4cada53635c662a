import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Browser } from 'playwright-core';
import type { Drift } from '../../schemas/api/drift.ts';
import { needsBrowser, openBrowser } from '../support/browser.ts';
import { contrastFaults } from '../support/contrast.ts';
import { fedPage, tellDrift } from '../support/fed-page.ts';

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
  ],
  streams: [
    { source: 'gate', model: 'nanodet', version: '1', latest: { ...window(0), accuracy: { estimate: 0.71, low: 0.662, high: 0.748, normal: 0.83 }, reference: '3', sentence: 'Pictures are darker (luma 58 instead of 117).', examples: [], features: [feature('luma', true), feature('contrast', false), feature('class_mix', true, { edges: [], labels: ['person', 'car'], now: [0.8, 0.2], reference: [0.5, 0.5], mean: null, reference_mean: null })] }, history: Array.from({ length: 200 }, (_, i) => window(199 - i)) },
    { source: 'yard', model: 'nanodet', version: '1', latest: { ...window(5), accuracy: null, verdict: 'no_reference', reference: null, sentence: null, examples: [], features: [] }, history: [] },
  ],
};

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
});
