/** Installs the npm dependencies when they are missing or not those of package-lock.json. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Resolves with true when something was installed. Rejects when npm fails. */
export async function ensureInstalled(root, say) {
  const lock = join(root, 'package-lock.json');
  const modules = join(root, 'node_modules');
  const stamp = join(modules, '.saccade-lock');
  const wanted = createHash('sha256').update(readFileSync(lock)).digest('hex');
  if (read(stamp) === wanted) return false;
  // npm's own record of what it installed: whoever installs by hand need not wait for it to be done again.
  const installed = join(modules, '.package-lock.json');
  const byHand = existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs;
  if (!byHand) {
    say('installing the npm packages of package-lock.json');
    await npmCi(root);
  }
  writeFileSync(stamp, wanted);
  return !byHand;
}

function read(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}

/** Scripts of packages are not run: what they would download is in the packages already, or not wanted. */
function npmCi(root) {
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'];
  const npm = process.env.npm_execpath;
  const child = npm?.endsWith('.js')
    ? spawn(process.execPath, [npm, ...args], { cwd: root, stdio: 'inherit' })
    : spawn('npm', args, { cwd: root, stdio: 'inherit' });
  return new Promise((done, fail) => {
    child.on('error', fail);
    child.on('exit', (code, signal) => (code === 0 ? done() : fail(new Error(`npm ci ended with ${signal ?? code}`))));
  });
}
