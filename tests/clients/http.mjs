// Runs the public audit suite for GraphQL over HTTP.
import { serverAudits } from 'graphql-http';
import { assert, check, url } from './harness.mjs';

export default async function http() {
  for (const audit of serverAudits({ url, fetchFn: fetch })) {
    await check(`${audit.id} ${audit.name}`, async () => {
      const result = await audit.fn();
      assert.equal(result.status, 'ok', result.reason);
      await result.response?.body?.cancel().catch(() => {});
    });
  }
}
