// Three common GraphQL clients: Apollo Client, urql and Relay, over HTTP and WebSocket.
import { ApolloClient, ApolloLink, CombinedGraphQLErrors, HttpLink, InMemoryCache, gql } from '@apollo/client/core';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { Client, cacheExchange, fetchExchange, subscriptionExchange } from '@urql/core';
import { createClient } from 'graphql-ws';
import relay from 'relay-runtime';
import WebSocket from 'ws';
import { assert, authorization, check, schema, schemaFile, socket, take, url } from './harness.mjs';
import { clock, possibleTypes } from './operations.mjs';
import { compile } from './relay.mjs';

globalThis.WebSocket ??= WebSocket;

const USER = 'id firstName accounts(first: 1) { edges { node { id } } }';
const LIST = `query relayUsersQuery { users(first: 1) { edges { node { ${USER} } } } }`;
const ONE = `query relayUserQuery($id: ID!) { user(id: $id) { ${USER} } }`;
const NODE = 'query relayNodeQuery($id: ID!) { node(id: $id) { __typename id ... on User { firstName } } }';
const UNKNOWN = '00000000-0000-7000-8000-000000000000';
const headers = { authorization };

const nodeOf = (data) => {
  const node = data?.users?.edges[0]?.node;
  assert.ok(node, 'the list of users is empty: these checks need one user in a new database');
  return node;
};

export default async function clients() {
  const ws = createClient({ url: socket, webSocketImpl: WebSocket, retryAttempts: 0, connectionParams: headers });
  await apollo(ws);
  await urql(ws);
  await ws.dispose();
  await relayRuntime();
}

async function apollo(ws) {
  const link = ApolloLink.split(
    ({ operationType }) => operationType === 'subscription',
    new GraphQLWsLink(ws),
    new HttpLink({ uri: url, headers }),
  );
  const client = new ApolloClient({ link, cache: new InMemoryCache({ possibleTypes: possibleTypes(schema) }) });
  let user;
  await check('Apollo: the list', async () => {
    user = nodeOf((await client.query({ query: gql(LIST) })).data);
  });
  await check('Apollo: its cache is keyed by type and id', async () => {
    assert.ok(client.cache.extract()[`User:${user.id}`]);
  });
  await check('Apollo: one user, then the same from the cache', async () => {
    const query = { query: gql(ONE), variables: { id: user.id } };
    assert.deepEqual((await client.query(query)).data.user, user);
    assert.deepEqual((await client.query({ ...query, fetchPolicy: 'cache-only' })).data.user, user);
  });
  await check('Apollo: refetch by node', async () => {
    const { data } = await client.query({ query: gql(NODE), variables: { id: user.id }, fetchPolicy: 'network-only' });
    assert.deepEqual(data.node, { __typename: 'User', id: user.id, firstName: user.firstName });
  });
  await check('Apollo: a refused document is a CombinedGraphQLErrors', async () => {
    await assert.rejects(client.query({ query: gql('{ noSuchField }') }), (error) => CombinedGraphQLErrors.is(error));
  });
  await check('Apollo: the public subscription', async () => {
    const events = await take(2, (sink) => {
      const stream = client.subscribe({ query: gql(clock(schema)) }).subscribe(sink);
      return () => stream.unsubscribe();
    });
    for (const event of events) assert.ok(event.data?.marketClockChanged && !event.error, String(event.error));
  });
  client.stop();
}

async function urql(ws) {
  const forwardSubscription = (request) => ({
    subscribe: (sink) => ({ unsubscribe: ws.subscribe({ ...request, query: request.query ?? '' }, sink) }),
  });
  const client = new Client({
    url,
    preferGetMethod: false,
    fetchOptions: { headers },
    exchanges: [cacheExchange, fetchExchange, subscriptionExchange({ forwardSubscription })],
  });
  const query = async (text, variables) => {
    const { data, error } = await client.query(text, variables).toPromise();
    assert.ifError(error);
    return data;
  };
  let user;
  await check('urql: the list', async () => {
    user = nodeOf(await query(LIST, {}));
  });
  await check('urql: one user', async () => assert.deepEqual((await query(ONE, { id: user.id })).user, user));
  await check('urql: refetch by node', async () => assert.equal((await query(NODE, { id: user.id })).node.firstName, user.firstName));
  await check('urql: a query by GET', async () => {
    const { data, error } = await client.query(NODE, { id: user.id }, { preferGetMethod: 'force', requestPolicy: 'network-only' }).toPromise();
    assert.ifError(error);
    assert.equal(data.node.id, user.id);
  });
  await check('urql: a refused document is a CombinedError', async () => {
    const { error } = await client.query('{ noSuchField }', {}).toPromise();
    assert.ok(error?.graphQLErrors.length > 0, String(error));
  });
  await check('urql: the public subscription', async () => {
    const events = await take(2, (sink) => client.subscription(clock(schema), {}).subscribe(sink.next).unsubscribe);
    for (const event of events) assert.ok(event.data?.marketClockChanged && !event.error, String(event.error));
  });
}

/** Relay's compiler compiles the operations first, as in an application. */
async function relayRuntime() {
  const { Environment, Network, RecordSource, Store, fetchQuery } = relay;
  const compiled = {};
  await check('Relay: the operations compile', async () => {
    const { artifacts, output } = await compile(schemaFile, schema, [{ name: 'relay', text: [LIST, ONE, NODE] }], { load: true });
    Object.assign(compiled, artifacts);
    assert.equal(Object.keys(compiled).length, 3, output);
  }, 60_000);
  const fetchFunction = async ({ text }, variables) => {
    const response = await fetch(url, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json', accept: 'application/graphql-response+json, application/json;q=0.9' },
      body: JSON.stringify({ query: text, variables }),
    });
    return response.json();
  };
  const environment = new Environment({ network: Network.create(fetchFunction), store: new Store(new RecordSource()) });
  const query = (name, variables) => fetchQuery(environment, compiled[name], variables, { fetchPolicy: 'network-only' }).toPromise();
  let user;
  await check('Relay: the list', async () => {
    user = nodeOf(await query('relayUsersQuery', {}));
  });
  await check('Relay: one user', async () => assert.deepEqual((await query('relayUserQuery', { id: user.id })).user, user));
  await check('Relay: refetch by node', async () => {
    const { node } = await query('relayNodeQuery', { id: user.id });
    assert.deepEqual(node, { __typename: 'User', id: user.id, firstName: user.firstName });
  });
  await check('Relay: an unknown and a malformed id are null, not errors', async () => {
    assert.equal((await query('relayNodeQuery', { id: UNKNOWN })).node, null);
    assert.equal((await query('relayNodeQuery', { id: 'malformed' })).node, null);
  });
}
