import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { needsBrowser, openBrowser } from './support/browser.ts';
import { fedPage, playScenes, type FedPage } from './support/fed-page.ts';
import { contrastFaults } from './support/contrast.ts';

const coffee = fileURLToPath(new URL('../media/coffee.jpg', import.meta.url));

async function playing(act: (fed: FedPage) => Promise<void>): Promise<void> {
  const fed = await fedPage();
  const stop = new AbortController();
  const scenes = playScenes(fed, stop.signal);
  try {
    await act(fed);
  } finally {
    stop.abort();
    await scenes;
    await fed.stop();
  }
}

/** Waits until it is true in the page. Asked from outside: the page's own policy forbids code made of text, as it should. */
async function holds(page: Page, script: string): Promise<void> {
  for (let tries = 0; !(await page.evaluate(script)); tries++) {
    assert.ok(tries < 200, `does not come to hold: ${script}`);
    await page.waitForTimeout(100);
  }
}

describe('the page', { skip: needsBrowser }, () => {
  let browser: Browser;
  before(async () => {
    browser = await openBrowser();
  });
  after(() => browser.close());

  /** Opens the page, hands it to `act`, and fails on anything the browser complained about. */
  async function visit(fed: FedPage, options: BrowserContextOptions, act: (page: Page) => Promise<void>): Promise<void> {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(20_000);
    const complaints: string[] = [];
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('console', (message) => {
      // Refused on purpose, or the server was stopped on purpose.
      if (message.type() === 'error' && !/status of 4\d\d|ERR_CONNECTION|ERR_INCOMPLETE|ERR_EMPTY/.test(message.text())) complaints.push(message.text());
    });
    try {
      await page.goto(fed.url);
      await act(page);
      assert.deepEqual(complaints, []);
    } finally {
      await context.close();
    }
  }

  test('says how to produce while there is nothing to show', async () => {
    const fed = await fedPage();
    try {
      await visit(fed, {}, async (page) => {
        await page.getByText('No frames yet').waitFor();
        await page.getByText('live', { exact: true }).waitFor();
        assert.match(await page.locator('#no-frames').innerText(), /kcat -P -t frames\.in/);
        assert.match(await page.locator('#no-frames').innerText(), new RegExp(`${new URL(fed.url).host}/v1/infer`));
        await page.getByText('Nothing predicted yet.').waitFor();
        assert.deepEqual(await page.locator('.stage-name').allInnerTexts(), ['ingest', 'preprocess', 'preprocess overflow', 'infer efficientnet-lite0', 'infer nanodet', 'sink']);
        // An answer about a picture taken before anybody looked.
        await fed.prediction({ frame_id: 'earlier', source: 'gate', model: 'nanodet' });
        await page.getByText(/Waiting for the first picture|the picture is not held/).first().waitFor();
        assert.equal(await page.getByText('No frames yet').isVisible(), false);
      });
    } finally {
      await fed.stop();
    }
  });

  test('shows each camera with its picture, boxes and classes, the stages, latency and predictions', () =>
    playing((fed) =>
      visit(fed, {}, async (page) => {
        await page.locator('.source').nth(2).waitFor();
        assert.deepEqual(await page.locator('.source h2').allInnerTexts(), ['counter', 'front-gate', 'sofa']);
        assert.equal(await page.locator('#no-frames').isVisible(), false);
        const counter = page.locator('.source').first();
        await counter.getByText('espresso').waitFor();
        await counter.getByText('dining table').waitFor();
        // The picture is on the canvas (many colours), and on it the box of the cup (its own colour, along its left edge).
        await holds(page, `(() => {
          const canvas = document.querySelector('.source canvas');
          const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
          const colours = new Set();
          for (let i = 0; i < data.length; i += 4 * 37) colours.add((data[i] >> 4) + ',' + (data[i + 1] >> 4) + ',' + (data[i + 2] >> 4));
          return colours.size > 100;
        })()`);
        await holds(page, `(() => {
          const canvas = document.querySelector('.source canvas');
          const context = canvas.getContext('2d');
          const swatch = document.createElement('canvas').getContext('2d');
          const chip = [...document.querySelectorAll('.source .counts li')].find((li) => li.textContent.includes('cup'));
          if (!chip) return false; // a frame whose detector was dropped
          swatch.fillStyle = getComputedStyle(chip.querySelector('i')).backgroundColor;
          swatch.fillRect(0, 0, 1, 1);
          const [r, g, b] = swatch.getImageData(0, 0, 1, 1).data;
          // 600 × 400 in a canvas of 4:3; the cup's left edge is at x 160 ± 3 in the made-up answers, its middle at y 180.
          const scale = canvas.width / 600, y = Math.round((canvas.height - 400 * scale) / 2 + 180 * scale);
          const { data } = context.getImageData(Math.round(152 * scale), y, Math.round(16 * scale), 1);
          for (let i = 0; i < data.length; i += 4) if (Math.abs(data[i] - r) + Math.abs(data[i + 1] - g) + Math.abs(data[i + 2] - b) < 30) return true;
          return false;
        })()`);
        await holds(page, `/cup \\d+ %/.test(document.querySelector('.source canvas').getAttribute('aria-label'))`);
        await holds(page, `/ fps$/.test(document.querySelector('.fps').textContent)`);
        await holds(page, `/^\\d+ ms$/.test(document.getElementById('p95').textContent)`);
        await holds(page, `document.getElementById('spark-p95').getAttribute('d').includes('L')`);
        await holds(page, `document.querySelectorAll('#recent tr').length === 50`);
        await holds(page, `[...document.querySelectorAll('.stage')].filter((node) => node.dataset.state === 'flows').length >= 4`);
        await holds(page, `/\\d/.test(document.querySelector('.stage-lag').textContent)`);
        await page.getByText('deadline').first().waitFor();
        await page.getByRole('button', { name: 'Hold' }).click();
        const first = await page.locator('#recent tr').first().innerText();
        await page.waitForTimeout(1500);
        assert.equal(await page.locator('#recent tr').first().innerText(), first);
      }),
    ));

  test('text is readable in both themes, nothing sticks out of a small screen, every control has a name', () =>
    playing(async (fed) => {
      for (const [colorScheme, width] of [['light', 1280], ['dark', 1280], ['light', 380], ['dark', 380]] as const) {
        await visit(fed, { colorScheme, viewport: { width, height: 800 } }, async (page) => {
          await page.locator('.source').nth(2).waitFor();
          await holds(page, `document.querySelectorAll('#recent tr').length > 10 && document.querySelector('#endings tr')`);
          assert.deepEqual(await page.evaluate(contrastFaults), [], `${colorScheme} at ${width}`);
          assert.equal(await page.evaluate('document.documentElement.scrollWidth'), width, `${colorScheme} at ${width}`);
          const unnamed = await page.evaluate(`[...document.querySelectorAll('button, select, input, [role=img]')]
            .filter((node) => !(node.getAttribute('aria-label') || node.innerText?.trim() || node.labels?.length)).map((node) => node.outerHTML)`);
          assert.deepEqual(unnamed, []);
        });
      }
    }));

  test('the theme can be chosen, and is remembered', async () => {
    const fed = await fedPage();
    try {
      await visit(fed, { colorScheme: 'light' }, async (page) => {
        const background = () => page.evaluate('getComputedStyle(document.body).backgroundColor');
        const light = await background();
        await page.getByRole('button', { name: 'Switch to the dark theme' }).click();
        const dark = await background();
        assert.notEqual(dark, light);
        await page.reload();
        assert.equal(await background(), dark);
        await page.getByRole('button', { name: 'Switch to the light theme' }).click();
        assert.equal(await background(), light);
      });
    } finally {
      await fed.stop();
    }
  });

  test('what strangers name is shown as text, and nothing of it runs', async () => {
    const fed = await fedPage();
    const evil = '<img src=x onerror="document.title=\'owned\'"><script>document.title="owned"</script>';
    try {
      await visit(fed, {}, async (page) => {
        await page.getByText('live', { exact: true }).waitFor();
        const label = { class_id: 0, label: evil, score: 0.5 };
        for (let n = 0; (await page.locator('.source').count()) === 0; n++) {
          await fed.frame({ id: `f${n}`, source: evil });
          await fed.prediction({ frame_id: `f${n}`, source: evil, model: 'nanodet', detections: [{ ...label, x1: 1, y1: 1, x2: 9, y2: 9 }] });
          await fed.prediction({ frame_id: `f${n}`, source: evil, model: 'efficientnet-lite0', labels: [label] });
          await page.waitForTimeout(100);
        }
        await page.locator('.source h2', { hasText: evil }).waitFor();
        await page.locator('#recent td', { hasText: evil }).first().waitFor();
        assert.equal(await page.title(), 'Saccade');
        assert.equal(await page.locator('img').count(), 0);
      });
    } finally {
      await fed.stop();
    }
  });

  test('answers about a picture of the viewer, and says what is wrong with one that is none', async () => {
    const fed = await fedPage();
    try {
      await visit(fed, {}, async (page) => {
        await page.getByText('live', { exact: true }).waitFor();
        await page.setInputFiles('#file', coffee);
        await page.locator('#answer').getByText('espresso').waitFor();
        await page.locator('#answer').getByText('cup').first().waitFor();
        assert.equal(await page.locator('#asked').isVisible(), true);
        await page.selectOption('#model', 'nanodet');
        await page.setInputFiles('#file', { name: 'x.jpg', mimeType: 'image/jpeg', buffer: Buffer.from('no picture') });
        await page.locator('#answer .problem').getByText('not a JPEG, PNG or WebP').waitFor();
        assert.equal(await page.locator('#answer').getByText('espresso').count(), 0);
        assert.equal(await page.locator('#asked').isVisible(), false);
      });
    } finally {
      await fed.stop();
    }
  });

  test('says when the connection is lost, and goes on when the server is back', async () => {
    const first = await fedPage();
    let second: FedPage | undefined;
    try {
      await visit(first, {}, async (page) => {
        await page.getByText('live', { exact: true }).waitFor();
        await first.stop();
        await page.getByText('connection lost, reconnecting').waitFor();
        second = await fedPage({ port: Number(new URL(first.url).port) });
        await page.getByText('live', { exact: true }).waitFor();
        await second.prediction({ frame_id: 'f', source: 'gate', model: 'nanodet' });
        await page.getByText('nothing found').waitFor();
      });
    } finally {
      await second?.stop();
    }
  });
});
