import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import sharp from 'sharp';
import { SaccadeError } from '../connectors/errors.ts';
import type { CameraFrame } from '../processors/camera/camera-frame.ts';
import { demoCamera } from '../processors/camera/demo-camera.ts';
import { listImages } from '../processors/camera/image-files.ts';
import { jpegSplitter } from '../processors/camera/jpeg-splitter.ts';
import { outbox } from '../processors/camera/outbox.ts';
import { paced } from '../processors/camera/pace.ts';
import { noCounts, runCamera } from '../processors/camera/run-camera.ts';
import { parseSource, parseSources } from '../processors/camera/source-spec.ts';
import { collectingProducer, gate, jumpingClock, quiet, realClock, sequences } from './support/camera.ts';

const media = fileURLToPath(new URL('../media/', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'saccade-camera-'));
after(() => rmSync(folder, { recursive: true, force: true }));

describe('--source', () => {
  test('understands every kind and names it', () => {
    const images = join(folder, 'gallery');
    mkdirSync(images);
    copyFileSync(`${media}coffee.jpg`, join(images, 'coffee.jpg'));
    writeFileSync(join(folder, 'street 1.mp4'), 'x');
    assert.deepEqual(parseSource('none'), { kind: 'none' });
    assert.deepEqual(parseSource('demo'), { kind: 'demo', name: 'demo' });
    assert.deepEqual(parseSource('hall=demo'), { kind: 'demo', name: 'hall' });
    assert.deepEqual(parseSource(join(folder, 'street 1.mp4')), { kind: 'video', name: 'street-1', path: join(folder, 'street 1.mp4') });
    assert.deepEqual(parseSource(images), { kind: 'images', name: 'gallery', path: images });
    assert.deepEqual(parseSource(`${images}/*.jpg`), { kind: 'images', name: 'gallery', path: `${images}/*.jpg` });
    assert.deepEqual(parseSource('gate=rtsp://u:secret@10.0.0.5/main?channel=1'), { kind: 'rtsp', name: 'gate', url: 'rtsp://u:secret@10.0.0.5/main?channel=1' });
    assert.deepEqual(parseSource('rtsp://u:secret@10.0.0.5:554/main'), { kind: 'rtsp', name: '10.0.0.5-main', url: 'rtsp://u:secret@10.0.0.5:554/main' });
  });

  test('names streams of one host apart, without their credentials', () => {
    const names = (urls: readonly string[]): string[] => urls.map((url) => (parseSource(url) as { name: string }).name);
    assert.deepEqual(names(['rtsp://h/cam?channel=1', 'rtsp://h:8554/cam?channel=2', 'rtsps://h:322/cam', 'rtsp://h']), [
      'h-cam-channel-1', 'h-8554-cam-channel-2', 'h-cam', 'h',
    ]);
    const credentials = [
      'rtsp://u:secret@h/cam?channel=1&user=u&password=secret/1',
      'rtsp://h/cam?channel=1;PWD=secret&auth%5Ftoken=secret',
      'rtsp://h/user=u_password=sec_ret_channel=1_stream=0.sdp?real_stream',
    ];
    assert.deepEqual(names(credentials), ['h-cam-channel-1', 'h-cam-channel-1', 'h-_channel-1_stream-0.sdp-real_stream']);
  });

  test('refuses two sources of one name, and says which', () => {
    const [one, other] = [`gate=${media}`, 'gate=demo'];
    assert.throws(() => parseSources([one, 'none', other]), (error: SaccadeError) =>
      error.code === 'invalid_config' && error.message.includes(one) && error.message.includes(other));
    assert.throws(() => parseSources(['demo', 'demo']), SaccadeError);
    assert.deepEqual(parseSources(['none', 'none', 'demo', 'hall=demo']).map(({ kind }) => kind), ['none', 'none', 'demo', 'demo']);
  });

  test('refuses nonsense with the setting, its value and what is allowed', () => {
    for (const [text, why] of [
      ['/no/such/file.mp4', /--source \/no\/such\/file\.mp4: no such file or folder\. Allowed: demo, none/],
      ['gate=/no/such.mp4', /--source gate=\/no\/such\.mp4: no such file/],
      [`${folder}/*.bmp`, /no image matches/],
      ['ftp://host/x', /only rtsp/],
      ['rtsp://', /--source rtsp:\/\//],
      ['', /empty/],
      ['x=none', /none has no name/],
    ] as const) {
      assert.throws(() => parseSource(text), (error: SaccadeError) => error.code === 'invalid_config' && why.test(error.message), text);
    }
  });

  test('a glob matches as a shell would, in the order people number files', () => {
    const root = join(folder, 'glob');
    for (const file of ['a/img10.jpg', 'a/img2.JPG', 'a/note.txt', 'a/b/deep.png', 'img1.webp', 'a/im(g.jpg']) {
      mkdirSync(join(root, file, '..'), { recursive: true });
      writeFileSync(join(root, file), '');
    }
    const names = (glob: string): string[] => listImages(join(root, glob)).map((path) => path.slice(root.length + 1));
    assert.deepEqual(names('a'), ['a/im(g.jpg', 'a/img2.JPG', 'a/img10.jpg']);
    assert.deepEqual(names('a/img*'), ['a/img2.JPG', 'a/img10.jpg']);
    assert.deepEqual(names('a/img?.*'), ['a/img2.JPG']);
    assert.deepEqual(names('**/*.png'), ['a/b/deep.png']);
    assert.deepEqual(names('*/*.jpg'), ['a/im(g.jpg', 'a/img10.jpg']);
  });
});

describe('the JPEG splitter', () => {
  const plain = readFileSync(`${media}coffee.jpg`);
  const tiny = async (): Promise<Buffer> => sharp(plain).resize(16).jpeg().toBuffer();

  /** A thumbnail inside an APP1 segment, as cameras write it: an SOI and an EOI that are not the picture's own. */
  const withThumbnail = async (): Promise<Buffer> => {
    const body = Buffer.concat([Buffer.from('Exif\0\0'), await tiny()]);
    const head = Buffer.from([0xff, 0xe1, 0, 0]);
    head.writeUInt16BE(body.length + 2, 2);
    return Buffer.concat([plain.subarray(0, 2), head, body, plain.subarray(2)]);
  };

  test('finds the same pictures however the stream is cut', async () => {
    const pictures = [await tiny(), await withThumbnail(), await sharp(plain).resize(40).jpeg({ progressive: true }).toBuffer(), await tiny()];
    const stream = Buffer.concat(pictures);
    for (const size of [1, 2, 3, 7, 64, 1000, 65_536, stream.length]) {
      const split = jpegSplitter();
      const out: Buffer[] = [];
      for (let at = 0; at < stream.length; at += size) out.push(...split(stream.subarray(at, at + size)));
      assert.deepEqual(out.map((b) => b.length), pictures.map((b) => b.length), `chunks of ${size}`);
      assert.ok(out.every((b, i) => b.equals(pictures[i]!)), `chunks of ${size}`);
    }
  });

  test('goes on after garbage, a cut-off picture and one beyond the limit', async () => {
    const small = await tiny();
    const split = jpegSplitter(8_000);
    const chunks = (b: Buffer): Buffer[] => {
      const out: Buffer[] = [];
      for (let at = 0; at < b.length; at += 500) out.push(...split(b.subarray(at, at + 500)));
      return out;
    };
    assert.deepEqual(chunks(Buffer.concat([Buffer.from('noise\xff\x00noise', 'latin1'), small])), [small]);
    assert.equal(chunks(plain).length, 0); // 70 KB
    assert.deepEqual(chunks(small), [small]);
    // Cut off in its scan: the next SOI begins anew, at the latest with the picture after it.
    assert.ok(chunks(Buffer.concat([small.subarray(0, small.length - 20), small, small])).some((b) => b.equals(small)));
  });
});

test('the demo camera draws frame by number, decodable and moving', async () => {
  const draw = await demoCamera();
  const [first, again, later] = await Promise.all([draw(3), draw(3), draw(9)]);
  assert.ok(first!.equals(again!));
  assert.ok(!first!.equals(later!));
  const { format, width, height } = await sharp(first).metadata();
  assert.deepEqual({ format, width, height }, { format: 'jpeg', width: 640, height: 480 });
  await assert.doesNotReject(draw(100_000));
});

test('pace: on time it keeps the rate, after a stall it makes no burst', async () => {
  const clock = jumpingClock();
  const pace = paced(clock, new AbortController().signal, 10);
  const at: number[] = [];
  const begin = clock.now();
  for (let i = 0; i < 6; i++) {
    await pace();
    at.push(clock.now() - begin);
    if (i === 2) await clock.sleep(1050);
  }
  // The stall is followed by the frame overdue and by one more that was due meanwhile, not by ten.
  assert.deepEqual(at, [0, 100, 200, 1250, 1250, 1350]);
});

const shot = (sequence: number): CameraFrame => ({ id: `s-${sequence}`, sequence, capturedAt: sequence, deadline: null, image: Buffer.from('x') });

describe('the outbox', () => {
  const base = { source: 's', log: quiet, limit: 3 };

  test('a live source drops its oldest frames while the log does not answer, and counts them', async () => {
    const held = gate();
    const { producer, records } = collectingProducer(() => held.promise);
    const counts = noCounts();
    const box = outbox({ ...base, producer, clock: jumpingClock(), counts, whenFull: 'drop-oldest' });
    for (let i = 0; i < 10; i++) await box.push(shot(i));
    assert.deepEqual(counts, { captured: 10, acknowledged: 0, dropped: 7, refused: 0 });
    held.open();
    await box.flush();
    assert.deepEqual(sequences(records), [0, 8, 9]); // 0 was under way
    assert.deepEqual(counts, { captured: 10, acknowledged: 3, dropped: 7, refused: 0 });
  });

  test('a folder waits for the log and loses nothing, in order, through an outage', async () => {
    let down = 4;
    const { producer, records } = collectingProducer(async () => {
      if (down-- > 0) throw new SaccadeError('log_unavailable');
    });
    const clock = jumpingClock();
    const counts = noCounts();
    const box = outbox({ ...base, producer, clock, counts, whenFull: 'wait' });
    for (let i = 0; i < 10; i++) await box.push(shot(i));
    await box.flush();
    assert.deepEqual(sequences(records), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert.deepEqual(counts, { captured: 10, acknowledged: 10, dropped: 0, refused: 0 });
    assert.equal(clock.slept.length, 4);
    assert.ok(clock.slept.every((ms, i) => ms >= 125 * 2 ** i && ms <= 250 * 2 ** i), 'jittered and doubling');
  });

  test('a frame the log refuses costs no neighbour', async () => {
    const { producer, records } = collectingProducer(async (batch) => {
      if (batch.some((r) => r.headers!.id === 's-1')) throw new SaccadeError('payload_too_large');
    });
    const counts = noCounts();
    const box = outbox({ ...base, limit: 8, producer, clock: jumpingClock(), counts, whenFull: 'wait' });
    for (let i = 0; i < 4; i++) await box.push(shot(i));
    await box.flush();
    assert.deepEqual(sequences(records), [0, 2, 3]);
    assert.deepEqual(counts, { captured: 4, acknowledged: 3, dropped: 0, refused: 1 });
  });

  test('closing while the log is away accounts for every frame and ends', async () => {
    const { producer } = collectingProducer(async () => {
      throw new SaccadeError('log_unavailable');
    });
    const counts = noCounts();
    const box = outbox({ ...base, producer, clock: realClock, counts, whenFull: 'wait' });
    await box.push(shot(0));
    await box.push(shot(1));
    await box.close();
    assert.deepEqual(counts, { captured: 2, acknowledged: 0, dropped: 2, refused: 0 });
  });
});

describe('a camera', () => {
  test('produces a folder once: key, bytes, headers, in name order', async () => {
    const { producer, records } = collectingProducer();
    const clock = jumpingClock();
    const counts = await runCamera({ spec: parseSource(`gate=${media}`), producer, clock, signal: new AbortController().signal, log: quiet });
    assert.deepEqual(counts, { captured: 3, acknowledged: 3, dropped: 0, refused: 0 });
    assert.deepEqual(records.map((r) => r.value), ['astronaut', 'chelsea', 'coffee'].map((n) => readFileSync(`${media}${n}.jpg`)));
    assert.ok(records.every((r) => r.topic === 'frames.in' && r.key === 'gate'));
    const run = /^(1700000000000-[0-9a-f]{8})-0$/.exec(records[0]!.headers!.id!)?.[1];
    assert.deepEqual(records.map((r) => r.headers), [0, 1, 2].map((n) => ({
      id: `${run}-${n}`,
      sequence: `${n}`,
      captured_at: `${1_700_000_000_000 + 100 * n}`,
    })));
  });

  test('of the same name, started in the same millisecond, gives other ids', async () => {
    const { producer, records } = collectingProducer();
    const once = () => runCamera({ spec: parseSource(`gate=${media}`), producer, clock: jumpingClock(), signal: new AbortController().signal, log: quiet });
    await Promise.all([once(), once()]);
    assert.equal(new Set(records.map((r) => r.headers!.id)).size, 6);
  });

  test('loops a folder until told to stop, and numbers on', async () => {
    const stop = new AbortController();
    const { producer, records } = collectingProducer(async () => {
      if (records.length >= 7) stop.abort();
    });
    await runCamera({ spec: parseSource(media), producer, clock: jumpingClock(), signal: stop.signal, log: quiet, loop: true });
    assert.deepEqual(sequences(records).slice(0, 7), [0, 1, 2, 3, 4, 5, 6]);
  });

  test('a live source gives its frames a deadline where one is asked for; a folder never does', async () => {
    for (const [what, deadlines] of [['demo', 3], [media, 0]] as const) {
      const stop = new AbortController();
      const { producer, records } = collectingProducer(async () => {
        if (records.length >= 3) stop.abort();
      });
      await runCamera({ spec: parseSource(what), producer, clock: jumpingClock(), signal: stop.signal, log: quiet, liveDeadlineMs: 5000 });
      const limited = records.slice(0, 3).filter(({ headers }) => headers?.deadline !== undefined);
      assert.equal(limited.length, deadlines, what);
      for (const { headers } of limited) assert.equal(Number(headers!.deadline), Number(headers!.captured_at) + 5000);
    }
  });

  test('demo runs until the signal', async () => {
    const stop = new AbortController();
    const { producer, records } = collectingProducer(async () => {
      if (records.length >= 4) stop.abort();
    });
    const counts = await runCamera({ spec: parseSource('demo'), producer, clock: jumpingClock(), signal: stop.signal, log: quiet });
    assert.equal(counts.captured, counts.acknowledged + counts.dropped);
    assert.ok(counts.acknowledged >= 4);
  });
});
