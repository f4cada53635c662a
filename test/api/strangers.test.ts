/** Programs of others, unmodified: the client of the Open Inference Protocol, and a tester that knows the document alone. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Store } from '../../connectors/ports.ts';
import { anyDatabase, startClosedEdge } from '../support/closed-edge.ts';
import { type EdgeUnderTest, startEdgeUnderTest } from '../support/edge.ts';
import { embeddedStore } from '../support/embedded-store.ts';
import { needsPython, pythonFor, run } from '../support/python.ts';
import { prediction } from '../contracts/store.ts';
import { storePredictions } from '../support/rows.ts';

describe('programs of others', { skip: needsPython, timeout: 290_000 }, () => {
  const scratch = mkdtempSync(join(tmpdir(), 'saccade-strangers-'));
  let store: Store;
  let edge: EdgeUnderTest;
  let python: string;
  embeddedStore('strangers', (opened) => (store = opened));
  before(async () => {
    python = await pythonFor('test/api/requirements.txt');
    await storePredictions(store, [prediction(), prediction({ task: 'classification' })]);
    // Batches that nobody waits for may lie before a request that waits: on a busy machine for longer than usual.
    edge = await startEdgeUnderTest({ store, requestTimeoutMs: 120_000 });
  });
  after(async () => {
    await edge.close();
    rmSync(scratch, { recursive: true, force: true });
  });

  test('tritonclient over HTTP', async () => {
    const { code, stdout, stderr } = await run(python, ['test/api/triton_client.py', new URL(edge.url).host, 'media']);
    assert.equal(code, 0, stderr);
    const seen = JSON.parse(stdout) as Record<string, unknown>;
    assert.deepEqual([seen.live, seen.ready, seen.model_ready, seen.other_version_ready], [true, true, true, false]);
    assert.equal((seen.model as { name: string }).name, 'nanodet');
    assert.ok((seen.server as { extensions: string[] }).extensions.includes('binary_tensor_data'));
    assert.equal((seen.labels as string[])[0], 'espresso');
    assert.deepEqual([seen.scores, seen.id, seen.same_gzipped, seen.asynchronous, seen.pixels], ['float32', 'mine', true, ['espresso'], [1, 5]]);
    const counts = seen.counts as number[];
    assert.ok((seen.found as string[]).includes('person'));
    assert.deepEqual(seen.boxes, [2, Math.max(...counts), 4]);
    assert.deepEqual(seen.json_counts, counts);
    assert.match(seen.unknown as string, /resnet/);
    assert.match(seen.wrong_output as string, /logits/);
    // The client knows an error by its one field; anything else it words as JSON that it cannot read.
    for (const what of ['config', 'statistics', 'index', 'register', 'shared_memory']) assert.match(seen[what] as string, /^There is nothing at this address\. [A-Z]+ \/v2\//, what);
    assert.match(seen.input_region as string, /inputs\.image\.parameters\.shared_memory_/);
    assert.match(seen.output_region as string, /outputs\.labels\.parameters\.shared_memory_/);
    assert.equal(seen.patient, null);
    assert.match(seen.impatient as string, /deadline/);
    assert.match(seen.sequence as string, /parameters\.sequence_start/);
  });

  const schemathesis = (url: string, checks: readonly string[], ...more: string[]) =>
    run(
      python,
      [
        '-m', 'schemathesis.cli', '--config-file', resolve('test/api/schemathesis.toml'), 'run', `${url}/openapi.json`, '--checks', checks.join(','),
        '--max-examples', process.env.SACCADE_TEST_EXAMPLES ?? '15', '--seed', '7', '--phases', 'examples,coverage,fuzzing', '--workers', '1', '--no-color', '--request-timeout', '130', ...more,
      ],
      // It keeps what it found in the folder it runs in.
      { cwd: scratch, env: { HYPOTHESIS_STORAGE_DIRECTORY: join(scratch, 'hypothesis') } },
    );
  const nothingFound = ({ code, stdout }: Awaited<ReturnType<typeof run>>): void => {
    assert.equal(code, 0, stdout.slice(stdout.indexOf('= FAILURES =')).slice(0, 12_000));
    assert.match(stdout, /No issues found|[1-9]\d* passed/, stdout.slice(-2000));
  };

  test('schemathesis finds no answer that the document does not allow, and no 5xx; what it allows is taken, what it does not is refused', async () => {
    nothingFound(await schemathesis(edge.url, [
      'not_a_server_error', 'status_code_conformance', 'content_type_conformance', 'response_headers_conformance', 'response_schema_conformance',
      'negative_data_rejection', 'positive_data_acceptance', 'missing_required_header', 'unsupported_method',
    ]));
  });

  test('schemathesis finds no route of a closed edge that answers without the credential that the document asks for, or with a wrong one', async () => {
    const database = await anyDatabase();
    const closed = await startClosedEdge(database, { stages: [], store });
    try {
      nothingFound(await schemathesis(closed.url, ['ignored_auth', 'status_code_conformance', 'response_schema_conformance'], '--header', `Authorization: Bearer ${await closed.key('default', 'admin')}`, '--phases', 'examples,coverage'));
    } finally {
      await closed.close();
      await database.stop();
    }
  });
});
