import assert from 'node:assert/strict';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, test } from 'node:test';
import { notifyStage, type NotifyOptions } from '../../processors/notify/notify.ts';
import { isSigned, signatureOf } from '../../processors/notify/signature.ts';
import type { Input, Outcome } from '../../processors/stage.ts';
import { exampleRecord } from '../../schemas/examples.ts';
import type { Alert } from '../../schemas/records.ts';
import { jumpingClock } from '../support/camera.ts';
import { quiet } from '../support/pipeline.ts';

const secret = 'of the receiver';
const resolved = exampleRecord('alert') as unknown as Alert;
const firing: Alert = { ...resolved, status: 'firing', resolved_at: null };
const inputsOf = (...alerts: Alert[]): Input<Alert>[] =>
  alerts.map((value, offset) => ({ value, key: value.source, headers: {}, origin: { cluster: 'c', topic: 'alerts', partition: 0, offset, timestamp: 0 }, bytes: 1, receivedAt: 0, attempt: 1 }));

interface Got {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

let server: Server | undefined;
afterEach(() => new Promise<void>((done) => (server ? server.close(() => done()) : done())));

/** A receiver that answers these statuses in turn, and 200 from then on; 'hang up' ends the connection without an answer. */
async function receiver(...answers: (number | 'hang up')[]): Promise<{ readonly url: string; readonly got: Got[] }> {
  const got: Got[] = [];
  const own = createServer((request, response) => {
    let body = '';
    request.on('data', (bytes: Buffer) => (body += bytes.toString()));
    request.on('end', () => {
      got.push({ headers: request.headers, body });
      const answer = answers.shift() ?? 200;
      if (answer === 'hang up') return void request.socket.destroy();
      response.writeHead(answer, answer >= 300 && answer < 400 ? { location: '/elsewhere' } : {}).end('thanks');
    });
  });
  server = own;
  await new Promise<void>((listening) => own.listen(0, '127.0.0.1', listening));
  return { url: `http://127.0.0.1:${(own.address() as AddressInfo).port}/alerts`, got };
}

const stageAt = (url: string, more: Partial<NotifyOptions> = {}) => {
  const clock = jumpingClock();
  return { clock, stage: notifyStage({ webhook: { url, secret }, clock, log: quiet, ...more }) };
};
const kind = (outcome: Outcome | undefined): string => (outcome && 'error' in outcome ? `${outcome.kind} ${outcome.error.code}` : (outcome?.kind ?? 'none'));
const signal = new AbortController().signal;

describe('alerts by webhook', () => {
  test('are posted signed, with the reason in a sentence', async () => {
    const { url, got } = await receiver();
    const { stage, clock } = stageAt(url);
    const outcomes = await stage.process(inputsOf(firing), signal);
    assert.deepEqual(outcomes, [{ kind: 'emit', records: [] }]);
    const [{ headers, body }] = got as [Got];
    assert.ok(isSigned(headers['saccade-signature'] as string, body, secret, clock.now()));
    assert.equal(headers['saccade-delivery'], `${firing.id}/firing`);
    const said = JSON.parse(body) as Record<string, unknown>;
    assert.deepEqual([said.type, said.source, said.sentence, said.started_at], ['alert.firing', 'dock-3', firing.sentence, '2026-01-01T00:00:00.000Z']);
  });

  test('a signature is of this body, this secret and this time', () => {
    const header = signatureOf('body', secret, 1_000_000);
    assert.ok(isSigned(header, 'body', secret, 1_000_000));
    assert.ok(!isSigned(header, 'other', secret, 1_000_000));
    assert.ok(!isSigned(header, 'body', 'other', 1_000_000));
    assert.ok(!isSigned(header, 'body', secret, 1_000_000 + 301_000), 'sent again later');
    for (const nonsense of ['', 't=1,v1=', `t=1000,v1=${'0'.repeat(64)}`]) assert.ok(!isSigned(nonsense, 'body', secret, 1_000_000));
  });

  test('are tried again, later and later, until the receiver takes them', async () => {
    const { url, got } = await receiver(500, 'hang up', 429, 503);
    const { stage, clock } = stageAt(url);
    assert.deepEqual((await stage.process(inputsOf(firing), signal)).map(kind), ['emit']);
    assert.equal(got.length, 5);
    assert.deepEqual(clock.slept, [1000, 2000, 4000, 8000]);
    assert.equal(new Set(got.map(({ headers }) => headers['saccade-delivery'])).size, 1, 'a repeat is known as one');
  });

  test('a refusal is not tried again: it goes to the dead letters, and so does one that nobody takes for too long', async () => {
    const { url, got } = await receiver(401, 302);
    const { stage } = stageAt(url);
    assert.deepEqual((await stage.process(inputsOf(firing), signal)).map(kind), ['reject webhook_refused']);
    assert.deepEqual((await stage.process(inputsOf(firing), signal)).map(kind), ['reject webhook_refused'], 'a redirect is not followed');
    assert.equal(got.length, 2);
    const away = stageAt('http://127.0.0.1:9/', { giveUpAfterMs: 10_000 });
    const [outcome] = await away.stage.process(inputsOf(firing), signal);
    assert.equal(kind(outcome), 'reject webhook_refused');
    assert.match(String(outcome && 'error' in outcome && outcome.error.detail), /Given up/);
  });

  test('opening and resolving are told, spreading is not', async () => {
    const { url, got } = await receiver();
    const { stage } = stageAt(url);
    for (const alert of [firing, { ...firing, features: ['luma', 'contrast'] }, resolved, firing]) await stage.process(inputsOf(alert), signal);
    assert.deepEqual(got.map(({ headers }) => headers['saccade-delivery']), ['firing', 'resolved', 'firing'].map((status) => `${firing.id}/${status}`));
  });

  test('who loses the partition while waiting leaves the alert to the next, and is not stuck meanwhile', async () => {
    const lost = new AbortController();
    const waits: boolean[] = [];
    const { stage } = stageAt('http://127.0.0.1:9/', {
      clock: {
        now: () => 0,
        async sleep() {
          waits.push(stage.resting!());
          lost.abort();
        },
      },
    });
    assert.deepEqual((await stage.process(inputsOf(firing), lost.signal)).map(kind), ['retry webhook_unavailable']);
    assert.deepEqual(waits, [true]);
    assert.equal(stage.resting!(), false);
  });
});
