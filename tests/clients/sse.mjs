// Server-sent events in distinct connections mode: with the public client, and byte by byte.
import { createClient } from 'graphql-sse';
import { assert, authorization, check, schema, take, url } from './harness.mjs';
import { clock } from './operations.mjs';

export default async function sse() {
  const client = createClient({ url, retryAttempts: 0, headers: { authorization } });
  await check('graphql-sse: a query', async () => {
    const [result] = await take(1, (sink) => client.subscribe({ query: '{ __typename }' }, sink));
    assert.equal(result.data?.__typename, 'Query');
  });
  await check('graphql-sse: two events of the public subscription', async () => {
    const events = await take(2, (sink) => client.subscribe({ query: clock(schema) }, sink));
    for (const event of events) assert.ok(event.data?.marketClockChanged && !event.errors, JSON.stringify(event));
  });
  await check('graphql-sse: an invalid document is answered with next and errors', async () => {
    const [result] = await take(1, (sink) => client.subscribe({ query: '{ noSuchField }' }, sink));
    assert.ok(Array.isArray(result.errors), JSON.stringify(result));
  });
  client.dispose();

  const post = () => fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
    body: JSON.stringify({ query: '{ __typename }' }),
  });
  await check('the media type is text/event-stream', async () => {
    const response = await post();
    await response.text();
    assert.equal(response.status, 200);
    assert.match(response.headers.get('content-type'), /^text\/event-stream/);
  });
  await check('next, then complete, each with a data line', async () => {
    assert.match(await (await post()).text(), /event: ?next\ndata: ?\{.*\}\n\n(.*\n)*event: ?complete\ndata:.*\n\n$/);
  });
}
