// Named checks with a time limit and totals, and constants for all suites.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { buildSchema } from 'graphql';

export { assert };
export const execute = promisify(execFile);
export const url = process.env.COFFER_URL;
export const socket = process.env.COFFER_WS;
export const schemaFile = process.env.COFFER_SCHEMA;
export const authorization = `Bearer ${process.env.COFFER_KEY}`;
export const schema = buildSchema(readFileSync(schemaFile, 'utf8'));

export const tally = { passed: 0, failed: 0 };

export async function check(name, run, limit = 20_000) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`timed out after ${limit} ms`)), limit);
  });
  try {
    await Promise.race([run(), late]);
    tally.passed += 1;
    console.log(`ok      ${name}`);
  } catch (error) {
    tally.failed += 1;
    const text = error?.message ?? JSON.stringify(error) ?? String(error);
    console.log(`FAILED  ${name}\n        ${text.slice(0, 2000).replaceAll('\n', '\n        ')}`);
  } finally {
    clearTimeout(timer);
  }
}

/** Resolves with the first `count` values of a subscription, then stops it. */
export function take(count, subscribe) {
  return new Promise((resolve, reject) => {
    const values = [];
    let stop;
    const done = () => {
      queueMicrotask(() => stop?.());
      resolve(values);
    };
    stop = subscribe({
      next: (value) => {
        values.push(value);
        if (values.length === count) done();
      },
      error: reject,
      complete: () => resolve(values),
    });
  });
}

/** Runs a program of an installed package, which must succeed. */
export async function runs(name, args, cwd) {
  const program = fileURLToPath(new URL(`node_modules/.bin/${name}`, import.meta.url));
  await execute(program, args, { cwd }).catch(({ code, stdout, stderr }) => {
    throw new Error(`${name} exited with ${code}: ${stdout}${stderr}`.slice(0, 2000));
  });
}
