// The graphql-transport-ws protocol: frame by frame, and with the public client.
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { assert, authorization, check, schema, socket, take } from './harness.mjs';
import { clock } from './operations.mjs';

const PROTOCOL = 'graphql-transport-ws';
const subscription = clock(schema);
const users = '{ users(first: 1) { edges { node { id } } } }';

/** Opens a WebSocket, lets `script` answer each frame, and returns what was received until it closed or `wait` ms passed. */
function talk(script, { wait = 2000, protocol = PROTOCOL, init = { type: 'connection_init' } } = {}) {
  return new Promise((resolve) => {
    const connection = new WebSocket(socket, protocol);
    const seen = { frames: [], code: null, protocol: null };
    const finish = () => {
      clearTimeout(timer);
      connection.terminate();
      resolve(seen);
    };
    const timer = setTimeout(finish, wait);
    const send = (frame) => connection.send(typeof frame === 'string' ? frame : JSON.stringify(frame));
    connection.on('open', () => {
      seen.protocol = connection.protocol;
      if (init) send(init);
      else script?.(send, null, finish);
    });
    connection.on('message', (data) => {
      const frame = JSON.parse(data);
      seen.frames.push(frame);
      script?.(send, frame, finish);
    });
    connection.on('close', (code) => {
      seen.code = code;
      finish();
    });
    connection.on('error', () => {});
  });
}

/** Sends these frames once the server has acknowledged. */
const acknowledged = (...frames) => (send, frame) => {
  if (frame?.type === 'connection_ack') frames.forEach(send);
};
const subscribe = (id, query) => ({ id, type: 'subscribe', payload: { query } });
const types = (seen, id) => seen.frames.filter((frame) => frame.id === id).map((frame) => frame.type);

export default async function websocket() {
  await check('connection_init is acknowledged and the protocol echoed', async () => {
    const seen = await talk((_, frame, finish) => frame && finish());
    assert.equal(seen.protocol, PROTOCOL);
    assert.equal(seen.frames[0]?.type, 'connection_ack');
  });

  const closes = [
    ['subscribing before the acknowledgement', 4401, (send) => send(subscribe('1', '{ __typename }')), { init: null }],
    ['a second connection_init', 4429, acknowledged({ type: 'connection_init' })],
    ['a frame that is not JSON', 4400, acknowledged('not json')],
    ['a frame of an unknown type', 4400, acknowledged({ type: 'nonsense' })],
    ['a subscribe without an id', 4400, acknowledged({ type: 'subscribe', payload: { query: '{ __typename }' } })],
    ['an id in use', 4409, acknowledged(subscribe('1', subscription), subscribe('1', subscription))],
    ['an unknown key', 4403, null, { init: { type: 'connection_init', payload: { authorization: 'Bearer sk_unknown' } } }],
    ['no connection_init at all', 4408, () => {}, { init: null, wait: 15_000 }],
  ];
  for (const [name, code, script, options] of closes) {
    await check(`${name} closes with ${code}`, async () => assert.equal((await talk(script, options)).code, code));
  }

  await check('ping is answered with pong', async () => {
    const seen = await talk((send, frame, finish) => {
      acknowledged({ type: 'ping', payload: { a: 1 } })(send, frame);
      if (frame?.type === 'pong') finish();
    });
    assert.equal(seen.frames.at(-1)?.type, 'pong');
  });
  for (const frame of [{ type: 'pong' }, { id: 'unknown', type: 'complete' }]) {
    await check(`an unexpected ${frame.type} is tolerated`, async () => {
      assert.equal((await talk(acknowledged(frame), { wait: 700 })).code, null);
    });
  }
  await check('a query is answered with next, then complete', async () => {
    assert.deepEqual(types(await talk(acknowledged(subscribe('1', '{ __typename }')), { wait: 1000 }), '1'), ['next', 'complete']);
  });
  await check('an invalid document is answered with one error frame', async () => {
    const seen = await talk(acknowledged(subscribe('1', '{ noSuchField }')), { wait: 1000 });
    assert.deepEqual(types(seen, '1'), ['error']);
    assert.ok(Array.isArray(seen.frames.at(-1).payload) && seen.frames.at(-1).payload[0].message);
    assert.equal(seen.code, null);
  });
  await check('a document that does not parse is answered with one error frame, or closes with 4400', async () => {
    const seen = await talk(acknowledged(subscribe('1', '{')), { wait: 1000 });
    if (seen.code !== 4400) assert.deepEqual(types(seen, '1'), ['error']);
  });
  await check('complete from the client ends the stream and frees the id', async () => {
    let stopped = false;
    const seen = await talk((send, frame) => {
      acknowledged(subscribe('1', subscription))(send, frame);
      if (frame?.type === 'next' && !stopped) {
        stopped = true;
        send({ id: '1', type: 'complete' });
        setTimeout(() => send(subscribe('1', '{ __typename }')), 300);
      }
    }, { wait: 4000 });
    assert.equal(seen.code, null);
    assert.ok(types(seen, '1').includes('complete'));
    assert.ok(types(seen, '1').filter((type) => type === 'next').length <= 3);
  });
  await check('two streams share one socket', async () => {
    const seen = await talk(acknowledged(subscribe('a', subscription), subscribe('b', subscription)), { wait: 3000 });
    assert.ok(types(seen, 'a').includes('next') && types(seen, 'b').includes('next'));
  });
  await check('an unknown protocol is not acknowledged', async () => {
    const seen = await talk(null, { protocol: 'graphql-ws-of-old', wait: 1000 });
    assert.ok(!seen.frames.some((frame) => frame.type === 'connection_ack'));
  });

  const options = { url: socket, webSocketImpl: WebSocket, retryAttempts: 0 };
  const anonymous = createClient(options);
  const partner = createClient({ ...options, connectionParams: { authorization } });
  await check('graphql-ws: a query', async () => {
    const [result] = await take(1, (sink) => anonymous.subscribe({ query: '{ __typename }' }, sink));
    assert.equal(result.data?.__typename, 'Query');
  });
  await check('graphql-ws: two events of the public subscription', async () => {
    const events = await take(2, (sink) => anonymous.subscribe({ query: subscription }, sink));
    for (const event of events) assert.ok(event.data?.marketClockChanged && !event.errors, JSON.stringify(event));
  });
  await check('graphql-ws: the key in connection_init is used', async () => {
    const [result] = await take(1, (sink) => partner.subscribe({ query: users }, sink));
    assert.ok(result.data?.users && !result.errors, JSON.stringify(result));
  });
  await Promise.all([anonymous.dispose(), partner.dispose()]);
}
