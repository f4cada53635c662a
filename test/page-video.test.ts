/** Video on the page, in a real browser with a made-up webcam, through the real edge and models. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Browser, ConsoleMessage, Page } from 'playwright-core';
import sharp from 'sharp';
import { findFfmpeg } from '../processors/camera/ffmpeg.ts';
import { needsBrowser, openBrowser } from './support/browser.ts';
import { type EdgeUnderTest, picture, startEdgeUnderTest } from './support/edge.ts';
import { needsFfmpeg } from './support/ffmpeg.ts';
import { eventually } from './support/pipeline.ts';

/** Asked from outside: the page's own policy forbids code made of text. */
async function holds(page: Page, script: string): Promise<void> {
  for (let tries = 0; !(await page.evaluate(script)); tries++) {
    assert.ok(tries < 200, `does not come to hold: ${script}`);
    await page.waitForTimeout(100);
  }
}

/** The picture fills the canvas, in many colours, and in it is the box's own colour. */
const drawn = `(() => {
  const canvas = document.getElementById('video-canvas');
  const chip = [...document.querySelectorAll('#video-counts li')].find((li) => li.textContent.includes('person'));
  if (!chip) return false;
  const swatch = document.createElement('canvas').getContext('2d');
  swatch.fillStyle = getComputedStyle(chip.querySelector('i')).backgroundColor;
  swatch.fillRect(0, 0, 1, 1);
  const [r, g, b] = swatch.getImageData(0, 0, 1, 1).data;
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  const colours = new Set();
  let box = 0;
  for (let i = 0; i < data.length; i += 4) {
    if (i % 148 === 0) colours.add((data[i] >> 4) + ',' + (data[i + 1] >> 4) + ',' + (data[i + 2] >> 4));
    if (Math.abs(data[i] - r) + Math.abs(data[i + 1] - g) + Math.abs(data[i + 2] - b) < 30) box++;
  }
  return colours.size > 100 && box > 200;
})()`;

describe('video of the viewer on the page', { skip: needsBrowser }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'saccade-video-'));
  let browser: Browser;
  let edge: EdgeUnderTest;
  const leaving = new Set<string>();
  before(async () => {
    const frame = await sharp(picture('astronaut')).resize(640, 480, { fit: 'cover', position: 'top' }).jpeg().toBuffer();
    // Motion JPEG is JPEGs, one after the other.
    writeFileSync(join(folder, 'webcam.mjpeg'), Buffer.concat(Array.from({ length: 10 }, () => frame)));
    writeFileSync(join(folder, 'frame.jpg'), frame);
    browser = await openBrowser('--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream', `--use-file-for-fake-video-capture=${join(folder, 'webcam.mjpeg')}`);
    edge = await startEdgeUnderTest({ live: true, leaving });
  });
  after(async () => {
    await browser.close();
    await edge.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** `usual`: what the browser itself says of what this test is about. */
  async function visit(act: (page: Page) => Promise<void>, usual = /^$/): Promise<void> {
    const context = await browser.newContext({ viewport: { width: 1280, height: 1000 }, permissions: ['camera'] });
    const page = await context.newPage();
    page.setDefaultTimeout(20_000);
    const complaints: string[] = [];
    page.on('pageerror', (error) => complaints.push(error.message));
    // There is no store here, and the panel of drift is told so.
    const expected = (message: ConsoleMessage) => new URL(message.location().url).pathname === '/v1/drift';
    page.on('console', (message) => message.type() === 'error' && !expected(message) && !usual.test(message.text()) && complaints.push(message.text()));
    try {
      await page.goto(edge.url);
      await page.locator('#video-model option').nth(1).waitFor({ state: 'attached' });
      await act(page);
      assert.deepEqual(complaints, []);
    } finally {
      await context.close();
    }
  }

  test('the webcam: boxes on the picture, its pace, another model, and an end', () =>
    visit(async (page) => {
      await page.getByRole('button', { name: 'Webcam' }).click();
      await holds(page, drawn);
      await holds(page, `/fps, [\\d.,]+ m?s/.test(document.getElementById('video-pace').textContent)`);
      const shot = process.env.SACCADE_TEST_SHOT;
      if (shot) await page.screenshot({ path: shot });
      // It is a source like others: the cameras show it too.
      await page.locator('.source h2', { hasText: /^page-/ }).waitFor();
      await page.locator('#video-model').selectOption('efficientnet-lite0');
      await holds(page, `document.querySelectorAll('#video-classes li').length === 5`);
      await page.getByRole('button', { name: 'Stop' }).click();
      await holds(page, `document.getElementById('video-stop').hidden`);
      assert.equal(await page.locator('#video-problem').isVisible(), false);
    }));

  test('a video file', { skip: needsFfmpeg }, () =>
    visit(async (page) => {
      const file = join(folder, 'clip.webm');
      execFileSync(findFfmpeg(), ['-loglevel', 'error', '-loop', '1', '-t', '2', '-r', '10', '-i', join(folder, 'frame.jpg'), '-c:v', 'libvpx', '-b:v', '1M', '-pix_fmt', 'yuv420p', file]);
      await page.locator('#video-file').setInputFiles(file);
      await holds(page, drawn);
    }));

  test('why the stream was closed decides whether it is opened again; if not, that is said, and it is over', () =>
    visit(async (page) => {
      const opened: string[] = [];
      let code = 0;
      await page.routeWebSocket(/\/v1\/stream/, (socket) => {
        opened.push(socket.url());
        if (socket.url().includes('marker')) return;
        socket.send(JSON.stringify({ type: 'welcome', session: 'a', source: 'page', model: 'nanodet', policy: 'drop_oldest', resume: 'new', received: null, missing_to: null, frame_bytes: 1, credits: 0 }));
        void socket.close({ code, reason: `for ${code}` });
      });
      await page.clock.install();
      await page.reload();
      await page.locator('#video-model option').nth(1).waitFor({ state: 'attached' });
      const [webcam, stop] = [page.getByRole('button', { name: 'Webcam' }), page.getByRole('button', { name: 'Stop' })];
      const begin = async (because: number): Promise<void> => {
        code = because;
        await webcam.click();
        await page.locator('#video-problem').getByText(`for ${because}`).waitFor();
        opened.length = 0;
      };
      for (const final of [1000, 1002, 1003, 1007, 1008, 1009, 4400, 4401, 4403, 4404, 4408, 4409, 4429, 4999]) {
        await begin(final);
        await stop.waitFor({ state: 'hidden' });
        // Longer than any pause; and a socket of our own, behind which no other can still be on its way.
        await page.clock.fastForward(60_000);
        await page.evaluate(`void new WebSocket('ws://' + location.host + '/v1/stream?marker')`);
        await eventually(() => opened.some((url) => url.includes('marker')), 'the marker');
        assert.equal(opened.length, 1, `${final} is final`);
        if (final === 4401) await page.locator('#video-problem').getByText('A key is needed').waitFor();
      }
      for (const passing of [1001, 1006, 1011, 1012, 1013, 4410, 4413, 4500]) {
        await begin(passing);
        await page.clock.fastForward(60_000);
        await eventually(() => opened.length > 0, `${passing} passes`);
        assert.match(opened[0]!, /session=a/);
        await stop.click();
      }
    }));

  test('a refusal that a page is not shown is asked for, said, and final where it stays', () =>
    visit(async (page) => {
      leaving.add('nanodet');
      // The page does not know it yet.
      await page.locator('#video-model').selectOption('nanodet');
      await page.getByRole('button', { name: 'Webcam' }).click();
      await page.locator('#video-problem').getByText("'nanodet'").waitFor();
      await page.getByRole('button', { name: 'Stop' }).waitFor({ state: 'hidden' });
      leaving.delete('nanodet');
    }, /status of 4\d\d|WebSocket connection/));

  test('what is no video is said in words', () =>
    visit(async (page) => {
      const file = join(folder, 'no.webm');
      writeFileSync(file, 'nothing of the kind');
      await page.locator('#video-file').setInputFiles(file);
      await page.locator('#video-problem').getByText('cannot be shown').waitFor();
    }));
});
