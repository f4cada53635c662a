/** Finding ffmpeg and running it as a child that cannot outlive this process. */
import { spawn } from 'node:child_process';
import { accessSync, chmodSync, constants } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, join } from 'node:path';
import type { Readable } from 'node:stream';
import { SaccadeError } from '../../connectors/errors.ts';

/** ffmpeg of PATH, else of the optional npm package. Throws invalid_config saying how to get one. */
export function findFfmpeg(env: NodeJS.ProcessEnv = process.env): string {
  const file = process.platform === 'win32' ? 'ffmpeg.exe' : 'ffmpeg';
  const onPath = (env.PATH ?? '').split(delimiter).filter(Boolean).map((folder) => join(folder, file)).find(isExecutable);
  const found = onPath ?? bundledFfmpeg();
  if (found === null) {
    throw new SaccadeError('invalid_config', '--source: video needs ffmpeg; install it (apt-get install ffmpeg) or put it on PATH.');
  }
  return found;
}

function bundledFfmpeg(): string | null {
  try {
    const { path } = createRequire(import.meta.url)('@ffmpeg-installer/ffmpeg') as { path: string };
    // Its install script, which makes the file executable, is not run here.
    if (!isExecutable(path)) chmodSync(path, 0o755);
    return path;
  } catch {
    // Absent, or no build for this platform.
    return null;
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Runs "$@" and ends it as soon as descriptor 3 is closed at the other end, which the system does when this process dies,
 * however it dies. Waiting for ffmpeg to notice its broken output would be too late for a camera that sends nothing.
 */
const guard = `
"$@" </dev/null 3<&- & child=$!
{ read -r _ <&3; kill "$child"; sleep 1; kill -9 "$child"; } >/dev/null 2>&1 & guard=$!
exec 3<&- >/dev/null
wait "$child"; code=$?
kill "$guard" 2>/dev/null
exit "$code"`;

export interface Ffmpeg {
  readonly stdout: Readable;
  /** Exit code, with the last line of what ffmpeg said. */
  readonly ended: Promise<{ code: number | null; said: string }>;
  stop(): void;
}

/** Starts ffmpeg with these arguments; pictures come out of stdout. A start that fails shows as an exit code other than 0. */
export function runFfmpeg(path: string, args: readonly string[]): Ffmpeg {
  const guarded = process.platform !== 'win32';
  const [command, given] = guarded ? ['/bin/sh', ['-c', guard, 'sh', path, ...args]] : [path, [...args]];
  const child = spawn(command, given, { stdio: ['ignore', 'pipe', 'pipe', 'pipe'] });
  const leash = child.stdio[3]!;
  leash.on('error', () => undefined); // gone already when the child ended first

  let said = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-2000);
  });
  const ended = new Promise<{ code: number | null; said: string }>((resolve) => {
    child.on('error', (error) => resolve({ code: -1, said: error.message }));
    child.on('close', (code) => resolve({ code, said: lastLine(said) }));
  });

  return {
    stdout: child.stdout!,
    ended,
    stop() {
      leash.destroy();
      if (!guarded) child.kill();
    },
  };
}

/** Without the credentials that ffmpeg repeats from the address. */
const lastLine = (text: string): string =>
  (text.trim().split('\n').at(-1) ?? '').replace(/(\w+:\/\/)[^/@\s]*@/g, '$1');
