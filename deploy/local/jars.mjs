/**
 * The jars of the local Kafka and schema registry, resolved by Maven once and then found on disk without it.
 * Plain JavaScript because bootstrap.mjs fetches them while npm is still installing everything else.
 *
 * They have a Maven repository of their own in the cache folder: the registry's released POM is broken (maven/pom.xml says
 * how), and a user's repository that has seen it would bring it back.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { accessSync, constants, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { lockFile } from './lock-file.mjs';

const pom = fileURLToPath(new URL('./maven/pom.xml', import.meta.url));
// A plugin of few dependencies that has Maven resolve the project: half the requests of the dependency plugin.
const resolveGoal = 'org.codehaus.mojo:exec-maven-plugin:3.5.0:exec';

const cacheRoot = () =>
  join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'saccade');

/** One folder for each version of the POM: another one never sees half of this one's jars. */
function cacheFolder(root) {
  const version = createHash('sha256').update(readFileSync(pom)).digest('hex').slice(0, 12);
  return join(root, `jvm-${version}`);
}

/** The user's cache, then the spare one, for a home that cannot be written. */
const cacheFolders = (spare) => [cacheRoot(), ...(spare === undefined ? [] : [spare])].map(cacheFolder);

function onPath(name) {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const file = join(folder, name);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // not in this folder
    }
  }
  return null;
}

export function findJavaTools(spare) {
  const home = process.env.JAVA_HOME;
  const java = home && existsSync(join(home, 'bin', 'java')) ? join(home, 'bin', 'java') : onPath('java');
  if (!java) return { missing: 'Java 17 or later (java is not on PATH)' };
  const said = spawnSync(java, ['-version'], { encoding: 'utf8' });
  const version = /version "(?:1\.)?(\d+)/.exec(`${said.stderr}${said.stdout}`);
  if (!version || Number(version[1]) < 17) return { missing: `Java 17 or later (found ${version?.[1] ?? 'no version'})` };
  const maven = onPath('mvn');
  if (!maven && !jarsOnDisk(spare)) return { missing: 'Maven (mvn is not on PATH)' };
  return { java, maven: maven ?? 'mvn' };
}

export function jarsOnDisk(spare) {
  for (const folder of cacheFolders(spare)) {
    const jars = jarsIn(folder);
    if (jars) return jars;
  }
  return null;
}

function jarsIn(folder) {
  let list;
  try {
    list = JSON.parse(readFileSync(join(folder, 'jars.json'), 'utf8'));
  } catch {
    return null;
  }
  const kafka = list.kafka.map((file) => join(folder, file));
  const registry = join(folder, list.registry);
  return [...kafka, registry].every((file) => existsSync(file)) ? { kafka: kafka.join(delimiter), registry } : null;
}

export async function fetchJars(tools, say, spare) {
  const there = jarsOnDisk(spare);
  if (there) return there;
  const folder = writableFolder(cacheFolders(spare));
  const release = await lockFile(join(folder, 'lock'), say);
  try {
    const meanwhile = jarsIn(folder);
    if (meanwhile) return meanwhile;
    say(`fetching Kafka and the schema registry with Maven, once, about 180 MB into ${folder}`);
    await resolve(tools, folder);
    const fetched = jarsIn(folder);
    if (!fetched) throw new Error(`Maven succeeded but jars are missing in ${folder}`);
    return fetched;
  } finally {
    release();
  }
}

/** The first that can be made and written to. */
function writableFolder(folders) {
  const failures = [];
  for (const folder of folders) {
    try {
      mkdirSync(folder, { recursive: true });
      const probe = join(folder, `.writable.${process.pid}`);
      writeFileSync(probe, '');
      rmSync(probe);
      return folder;
    } catch (error) {
      failures.push(`${folder} (${error.code})`);
    }
  }
  throw new Error(`no cache folder can be written to: ${failures.join(', ')}; set XDG_CACHE_HOME to a folder that can`);
}

async function resolve(tools, folder) {
  const repository = join(folder, 'm2');
  const listed = join(folder, `classpath.${process.pid}`);
  await run(tools.maven, [
    '-q', '-B', '-f', pom, resolveGoal, `-Dmaven.repo.local=${repository}`,
    '-Dexec.executable=echo', '-Dexec.args=%classpath', `-Dexec.outputFile=${listed}`,
  ]);
  const kafka = readFileSync(listed, 'utf8').trim().split(delimiter).filter((file) => file.endsWith('.jar'));
  rmSync(listed);
  const registry = await unpackRegistry(repository, folder);
  const list = { kafka: kafka.map((file) => relative(folder, file)), registry: relative(folder, registry) };
  writeFileSync(join(folder, 'jars.json.new'), JSON.stringify(list));
  renameSync(join(folder, 'jars.json.new'), join(folder, 'jars.json'));
}

async function unpackRegistry(repository, folder) {
  const into = join(folder, 'registry');
  const base = join(repository, 'io', 'apicurio', 'apicurio-registry-app');
  const [version] = readdirSync(base);
  const archive = join(base, version, `apicurio-registry-app-${version}-all.tar.gz`);
  rmSync(into, { recursive: true, force: true });
  mkdirSync(into);
  await run('tar', ['-xzf', archive, '-C', into]);
  rmSync(archive);
  return join(into, `apicurio-registry-app-${version}-runner.jar`);
}

function run(command, args) {
  return new Promise((done, fail) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    const keep = (chunk) => (said = (said + chunk).slice(-4000));
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.on('error', fail);
    child.on('close', (code) => {
      const reason = said.split('\n').find((line) => line.includes('ERROR')) ?? said.trim();
      if (code === 0) done();
      else fail(new Error(`${command} ended with ${code}: ${reason}`));
    });
  });
}
