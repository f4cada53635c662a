/** The images cannot be built here: what deploy/Dockerfile says of paths, versions and flags is held against what they are about. */
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { nodeFlags } from '../deploy/local/node-flags.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const load = createRequire(import.meta.url);
const runtime = dirname(load.resolve('onnxruntime-node/package.json'));
const { version } = load('onnxruntime-node/package.json') as { version: string };
const packages = (JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as { packages: Record<string, { version: string; dev?: boolean }> }).packages;
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { dependencies: Record<string, string>; engines: { node: string } };

interface Stage {
  readonly name: string;
  readonly base: string;
  readonly lines: readonly string[];
}

const text = readFileSync(join(root, 'deploy/Dockerfile'), 'utf8').replaceAll('\\\n', ' ').replaceAll(/ +/g, ' ');
const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
const stages: Stage[] = [];
for (const line of lines) {
  const [, base, name] = /^FROM (\S+) AS (\S+)$/.exec(line) ?? [];
  if (base && name) stages.push({ base, name, lines: [] });
  else if (stages.length > 0) (stages.at(-1)!.lines as string[]).push(line);
}
const stage = (name: string): Stage => stages.find((one) => one.name === name) ?? assert.fail(`there is no stage ${name}`);
const cudas = ['12', '13'];

describe('the Dockerfile', () => {
  test('copies from the repository what is there, and all that a process imports', () => {
    const copied = lines.flatMap((line) => (/^COPY (?!--from)(.+) \S+$/.exec(line)?.[1] ?? '').split(' ').filter((path) => path !== ''));
    assert.deepEqual(copied.filter((path) => !existsSync(join(root, path))), []);
    for (const needed of ['connectors', 'processors', 'schemas', 'models', 'media', 'deploy/local', 'package.json']) {
      assert.ok(stage('cpu').lines.some((line) => line.startsWith(`COPY ${needed} `)), `${needed} is missing`);
    }
  });

  test('starts each image as npm start does, with packages that are not left out', () => {
    for (const name of ['cpu', 'gpu']) {
      const started = JSON.parse(stage(name).lines.find((line) => line.startsWith('ENTRYPOINT '))!.slice('ENTRYPOINT '.length)) as string[];
      assert.deepEqual(started, ['node', ...nodeFlags, '--import', 'tsx', 'processors/main.ts']);
      assert.ok(existsSync(join(root, started.at(-1)!)));
    }
    assert.ok('tsx' in manifest.dependencies && packages['node_modules/tsx']!.dev !== true);
  });

  test('has a Node that the package asks for at least', () => {
    const least = /(\d+)\./.exec(manifest.engines.node)![1]!;
    for (const name of ['packages', 'cpu']) assert.ok(Number(/^node:(\d+)/.exec(stage(name).base)![1]) >= Number(least), name);
  });

  test('every stage stands on an image or on a stage before it, for either CUDA', () => {
    for (const CUDA of cudas) {
      stages.forEach(({ base }, i) => {
        const named = base.replace('${CUDA}', CUDA);
        assert.ok(/[:/]/.test(named) || stages.slice(0, i).some(({ name }) => name === named), `${named} comes from nowhere`);
      });
      assert.match(stage(`cuda-${CUDA}`).base, new RegExp(`^nvidia/cuda:${CUDA}\\.\\d+\\.\\d+-cudnn-runtime-`));
    }
    assert.ok(lines[0] === `ARG CUDA=${cudas[0]}`, 'the argument is for FROM lines, so it stands before the first');
  });
});

describe('the CUDA provider in the Dockerfile', () => {
  const files = ['libonnxruntime_providers_cuda.so', 'libonnxruntime_providers_shared.so'];

  test('goes beside the library of the package', () => {
    const copy = stage('gpu').lines.find((line) => line.startsWith('COPY --from=provider '))!;
    const [to, ...from] = copy.split(' ').slice(2).toReversed();
    assert.deepEqual(from.toReversed(), files.map((file) => `/provider/${file}`));
    assert.ok(existsSync(join(runtime, to!.replace('/app/node_modules/onnxruntime-node/', ''), 'libonnxruntime.so.1')), to);
  });

  test('for CUDA 12 is what the package\'s own install script fetches, of its own version', () => {
    const metadata = load('onnxruntime-node/script/install-metadata.js') as {
      manifests: Record<string, Record<string, { package: string }>>;
      packages: Record<string, { versions: readonly { version: string }[] }>;
    };
    const fetched = metadata.manifests['linux/x64:cuda12']!;
    for (const file of files) {
      const of = metadata.packages[fetched[`./${file}`]!.package]!;
      assert.deepEqual(of.versions.map((one) => one.version), [version]);
    }
    const run = stage('provider-12').lines.join('\n');
    const script = /node (node_modules\/onnxruntime-node\/\S+) --onnxruntime-node-install=cuda12/.exec(run)![1]!;
    assert.ok(existsSync(join(root, script)));
    assert.ok(readFileSync(join(root, script), 'utf8').includes('--onnxruntime-node-install=cuda12'), 'the script does not know the option any more');
  });

  test('for CUDA 13 is of the version that the lockfile names', () => {
    assert.equal(packages['node_modules/onnxruntime-node']!.version, version);
    assert.ok(stage('provider-13').lines.join('\n').includes("['packages']['node_modules/onnxruntime-node']['version']"));
  });

  for (const CUDA of cudas) {
    test(`of another CUDA than ${CUDA} ends the build`, () => assert.ok(stage(`provider-${CUDA}`).lines.join('\n').includes(`grep -q libcublasLt.so.${CUDA} /provider/${files[0]}`)));
  }
});
