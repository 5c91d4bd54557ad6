// One server process: started on a free port with a directory of its own, ended with its suite.

import { spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export const REGION = 'us-east-1';
export const ROOT_KEY = {
  accessKeyId: 'AKIDSYNCLINETESTS',
  secretAccessKey: 'a/secret/access/key/of/the/tests',
};
const READY = 'syncline listening on ';

/**
 * Starts the program that SYNCLINE_BINARY names; returns once it accepts connections. With the
 * directory of one that was killed it goes on with what that had.
 */
export async function startServer(config = '', directory = newDirectory()) {
  const program = process.env.SYNCLINE_BINARY;
  if (!program) throw new Error('SYNCLINE_BINARY must name the program under test');
  const logPath = join(directory, 'server.log');
  const log = openSync(logPath, 'a');
  const words = ['serve', '--data', join(directory, 'data'), '--listen', '127.0.0.1:0'];
  if (config) {
    writeFileSync(join(directory, 'syncline.toml'), config);
    words.push('--config', join(directory, 'syncline.toml'));
  }
  const child = spawn(program, words, {
    cwd: directory,
    env: {
      PATH: process.env.PATH,
      SYNCLINE_ROOT_ACCESS_KEY_ID: ROOT_KEY.accessKeyId,
      SYNCLINE_ROOT_SECRET_ACCESS_KEY: ROOT_KEY.secretAccessKey,
    },
    stdio: ['ignore', 'pipe', log],
  });
  closeSync(log);
  const ended = new Promise((resolve) => child.once('close', resolve));
  // A suite that breaks off must not leave its server behind.
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  const line = await new Promise((resolve) => {
    createInterface({ input: child.stdout }).once('line', resolve).once('close', () => resolve(''));
  });
  if (!line.startsWith(READY)) {
    kill();
    throw new Error(`the server did not start: ${line}\n${readFileSync(logPath, 'utf8')}`);
  }
  return {
    url: line.slice(READY.length).trim(),
    directory,
    /** As by a crash; its directory stays. */
    async kill() {
      kill();
      await ended;
      process.removeListener('exit', kill);
    },
    async stop() {
      child.kill('SIGTERM');
      const code = await ended;
      process.removeListener('exit', kill);
      rmSync(directory, { recursive: true });
      return code;
    },
  };
}

function newDirectory() {
  return mkdtempSync(join(tmpdir(), 'syncline-node-'));
}
