// Runs every suite; the last line has the totals. The walk is last, because it moves the sandbox clock.
import { tally } from './harness.mjs';

for (const suite of ['http', 'websocket', 'sse', 'clients', 'guide', 'schema', 'browser', 'walk']) {
  console.log(`# ${suite}`);
  try {
    const { default: run } = await import(`./${suite}.mjs`);
    await run();
  } catch (error) {
    tally.failed += 1;
    console.log(`FAILED  the suite itself\n${error.stack ?? error}`);
  }
}
console.log(`${tally.passed} passed, ${tally.failed} failed`);
process.exit(tally.failed === 0 ? 0 : 1);
