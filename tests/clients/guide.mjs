// The JavaScript of docs/clients.md and the TypeScript of the README, run as printed against the server.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ApolloClient, HttpLink, gql } from '@apollo/client/core';
import { Client, fetchExchange } from '@urql/core';
import { introspectionFromSchema, isRequiredArgument } from 'graphql';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { assert, authorization, check, execute, runs, schema, schemaFile, socket, url } from './harness.mjs';
import { operations, possibleTypes, scalars } from './operations.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const headers = { authorization };

export const guideText = () => readFileSync(join(here, '../../docs/clients.md'), 'utf8');

/** The blocks of JavaScript by their file names, which are their first lines. */
export function blocks() {
  return Object.fromEntries([...guideText().matchAll(/^```js\n\/\/ (\S+)\n(.*?)^```$/gms)].map(([, name, code]) => [name, code]));
}

/** Writes the blocks to a folder beside node_modules, so that their imports resolve, and passes it to `use`. */
async function written(use) {
  const folder = mkdtempSync(join(here, '.guide-'));
  try {
    for (const [name, code] of Object.entries(blocks())) writeFileSync(join(folder, name), code);
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Types without an id that a cache stores in the object that contains them. */
export const valueTypes = await written(async (folder) => (await import(join(folder, 'coffer-value-types.js'))).valueTypes);

export default async function guide() {
  await written(async (folder) => {
    const load = (name) => import(join(folder, name));
    const { default: codegen } = await load('codegen.js');
    const [{ config }] = Object.values(codegen.generates);
    await check('guide: the scalars of the code generator', () => assert.deepEqual(config.scalars, scalars(schema)));
    await check('guide: amounts and dates are formatted exactly', async () => formats(await load('format.js')));
    await check('guide: two users and an account', data);
    await apollo(await load('coffer-apollo.js'));
    await urql(await load('coffer-urql.js'));
    await events((await load('follow.js')).follow);
    await check('guide: ESLint finds deprecated fields', () => deprecated(folder), 60_000);
    await check('README: tsc --strict accepts the TypeScript client, and it lists the users', () => readme(folder), 120_000);
  });
}

function formats({ formatMoney, formatDate, formatDateTime }) {
  assert.equal(formatMoney({ amount: '9007199254740993.01', currency: 'USD' }), '$9,007,199,254,740,993.01');
  assert.equal(formatDate('2026-01-31'), 'Jan 31, 2026');
  assert.equal(formatDateTime('2026-02-01T04:30:00Z', 'America/New_York').replaceAll('\u202f', ' '), 'Jan 31, 2026, 11:30 PM');
}

/** Sends an operation with the API key of the sandbox, and returns its data. */
export async function send(query, variables) {
  const body = JSON.stringify({ query, variables });
  const response = await fetch(url, { method: 'POST', headers: { ...headers, 'content-type': 'application/json' }, body });
  const { data, errors } = await response.json();
  assert.equal(errors, undefined);
  return data;
}

let account;

async function register(firstName, digit) {
  const address = { line1: '123 Test St', city: 'Richmond', state: 'VA', postalCode: '23220' };
  const input = {
    firstName, lastName: 'Guide', email: `${firstName}@example.com`, phone: `202555014${digit}`,
    ssn: `21364578${digit}`, birthDate: '1985-01-23', address,
  };
  const create = 'mutation($input: UserCreateInput!) { userCreate(input: $input) { user { id } userErrors { code path message } } }';
  const { userCreate } = await send(create, { input });
  assert.deepEqual(userCreate.userErrors, []);
  return userCreate.user.id;
}

/** Creates two users, so that there is more than one page, and an account. */
async function data() {
  await register('Grace', 0);
  const open = 'mutation($input: AccountOpenInput!) { accountOpen(input: $input) { account { id } userErrors { code path message } } }';
  const { accountOpen } = await send(open, {
    input: {
      userId: await register('Annie', 1), type: 'CASH', maritalStatus: 'SINGLE', countryOfCitizenship: 'USA',
      employmentStatus: 'EMPLOYED', employmentPosition: 'Admiral', employerName: 'Navy',
    },
  });
  assert.deepEqual(accountOpen.userErrors, []);
  account = accountOpen.account.id;
}

async function apollo({ createCache, typePolicies }) {
  const client = new ApolloClient({ link: new HttpLink({ uri: url, headers }), cache: createCache(possibleTypes(schema)) });
  await check('guide: Apollo appends the next page', async () => {
    const query = gql('query Users($after: String) { users(first: 1, after: $after) { edges { node { id } } pageInfo { hasNextPage endCursor } } }');
    const users = client.watchQuery({ query });
    const pages = [];
    const ids = await new Promise((resolve, reject) => {
      users.subscribe(({ data: page }) => {
        if (!page) return;
        pages.push(page.users.edges.map((edge) => edge.node.id));
        if (pages.length === 1) users.fetchMore({ variables: { after: page.users.pageInfo.endCursor } }).catch(reject);
        else if (pages.at(-1).length > 1) resolve(pages.at(-1));
      });
    });
    assert.equal(new Set(ids).size, 2);
    assert.equal(ids[0], pages[0][0]);
  });
  await check('guide: Apollo keeps the lists of different filters and sort orders apart', async () => {
    const { data } = await client.query({ query: gql('query All { users(first: 2) { edges { node { id } } } }') });
    assert.equal(data.users.edges.length, 2);
    for (const list of ['filter: { statuses: [DENIED] }', 'orderBy: { field: NAME, direction: ASC }']) {
      const query = gql(`query Some { users(first: 2, ${list}) { edges { node { id } } } }`);
      assert.equal(client.readQuery({ query }), null);
    }
    const denied = gql('query Denied { users(first: 2, filter: { statuses: [DENIED] }) { edges { node { id } } } }');
    assert.deepEqual((await client.query({ query: denied })).data.users.edges, []);
  });
  await check('guide: Apollo merges fields of a value type that two queries read', async () => {
    const read = (field) => ({
      query: gql(`query Balance($id: ID!) { account(id: $id) { id balance { ${field} { amount currency } } } }`),
      variables: { id: account },
    });
    const { data: total } = await client.query(read('total'));
    await client.query(read('buyingPower'));
    const { data: again } = await client.query({ ...read('total'), fetchPolicy: 'cache-only' });
    assert.deepEqual(again, total);
    assert.equal(total.account.balance.total.amount, '0.00');
  });
  await check('guide: Apollo stores no value type by itself', () => {
    const stored = Object.keys(client.cache.extract()).map((key) => key.split(':')[0]);
    assert.ok(stored.includes('Account'));
    for (const name of valueTypes) {
      assert.deepEqual(typePolicies[name], { keyFields: false, merge: true });
      assert.ok(!stored.includes(name), name);
    }
  });
  client.stop();
}

async function urql({ createCache, keys }) {
  const client = new Client({ url, preferGetMethod: false, fetchOptions: { headers }, exchanges: [createCache(), fetchExchange] });
  const warnings = [];
  const { warn } = console;
  console.warn = (...parts) => warnings.push(parts.join(' '));
  try {
    await check('guide: urql knows the keys of all types', async () => {
      const roots = schema.getQueryType().getFields();
      const free = operations(schema).filter(({ kind, name }) => {
        const field = roots[`${name[0].toLowerCase()}${name.slice(1)}`];
        return kind === 'query' && !field.args.some(isRequiredArgument);
      });
      assert.ok(free.length > 5);
      for (const { name, text } of free) {
        const { error } = await client.query(text(name), {}).toPromise();
        assert.ok(!error?.networkError, String(error));
      }
      const { error } = await client.mutation('mutation { orderCancel(input: { idempotencyKey: "g", orderId: "g" }) { order { id } userErrors { code path message } } }', {}).toPromise();
      assert.ifError(error);
      assert.deepEqual(warnings, []);
    }, 60_000);
    await check('guide: urql warns of a type without a key', async () => {
      const before = { ...keys };
      assert.deepEqual(Object.keys(before), valueTypes);
      delete keys.AccountBalance;
      const bare = new Client({ url, preferGetMethod: false, fetchOptions: { headers }, exchanges: [createCache(), fetchExchange] });
      await bare.query('query Balance($id: ID!) { account(id: $id) { id balance { asOf } } }', { id: account }).toPromise();
      Object.assign(keys, before);
      assert.ok(warnings.some((text) => text.includes('Invalid key') && text.includes('AccountBalance')), warnings.join('\n'));
    });
    await check('guide: urql matches fragments on interfaces by the schema', async () => {
      const text = 'query Node($id: ID!) { node(id: $id) { id ... on User { firstName } ... on Account { status } } }';
      const found = [];
      for (const known of [undefined, introspectionFromSchema(schema)]) {
        warnings.length = 0;
        const exchanges = [createCache(known), fetchExchange];
        const one = new Client({ url, preferGetMethod: false, fetchOptions: { headers }, exchanges });
        const { data } = await one.query(text, { id: account }).toPromise();
        assert.deepEqual(data.node, { id: account, status: 'ACTIVE' });
        found.push(warnings.some((warning) => warning.includes('Heuristic Fragment Matching')));
      }
      assert.deepEqual(found, [true, false]);
    });
  } finally {
    console.warn = warn;
  }
  await check('guide: urql appends the next page', async () => {
    const text = 'query Users($after: String) { users(first: 1, after: $after) { edges { node { id } } pageInfo { hasNextPage endCursor } } }';
    const { data: first } = await client.query(text, {}).toPromise();
    const { data: second } = await client.query(text, { after: first.users.pageInfo.endCursor }).toPromise();
    assert.equal(new Set(second.users.edges.map((edge) => edge.node.id)).size, 2);
  });
}

async function events(follow) {
  const ws = createClient({ url: socket, webSocketImpl: WebSocket, retryAttempts: 0, connectionParams: headers });
  const query = `subscription Events($after: String) {
    events(after: $after) { cursor ... on UserChangedEvent { user { email } } }
  }`;
  await check('guide: follow resumes after a lost connection', async () => {
    const stop = new AbortController();
    const cursors = [];
    let connections = 0;
    ws.on('connected', () => { connections += 1; });
    const handle = async ({ cursor, user }) => {
      cursors.push(Number(cursor));
      if (cursors.length === 1) {
        ws.terminate();
        await register('Late', 2);
      }
      if (user?.email === 'Late@example.com') stop.abort();
    };
    await follow(ws, query, { after: '0', handle, signal: stop.signal, wait: 10 });
    assert.ok(connections > 1);
    assert.deepEqual(cursors, cursors.map((_, index) => cursors[0] + index));
  });
  await check('guide: follow throws the errors of a refused subscription', async () => {
    const { signal } = new AbortController();
    await assert.rejects(follow(ws, query, { after: 'nope', handle: assert.fail, signal, wait: 10 }), (errors) => {
      assert.deepEqual(errors.map((error) => error.extensions.code), ['BAD_USER_INPUT']);
      return true;
    });
  });
  await ws.dispose();
}

/** Runs ESLint with the configuration of the guide, in a folder like that of an application. */
function deprecated(folder) {
  const sdl = readFileSync(schemaFile, 'utf8');
  const old = /(type WatchListException \{[^}]*?\breason: String!)/;
  assert.match(sdl, old);
  writeFileSync(join(folder, 'schema.graphql'), sdl.replace(old, '$1 @deprecated(reason: "Use `createdAt`.")'));
  mkdirSync(join(folder, 'src'));
  for (const field of ['reason', 'createdAt']) {
    const text = `query It { node(id: "1") { ... on WatchListHit { exception { ${field} } } } }\n`;
    writeFileSync(join(folder, 'src', `${field}.graphql`), text);
  }
  const eslint = join(here, 'node_modules', '.bin', 'eslint');
  const { stdout, stderr } = spawnSync(eslint, ['--format', 'json', 'src'], { cwd: folder, encoding: 'utf8' });
  assert.equal(stderr, '');
  const found = JSON.parse(stdout).flatMap(({ filePath, messages }) =>
    messages.map(({ ruleId, message }) => [basename(filePath), ruleId ?? message]));
  assert.deepEqual(found, [['reason.graphql', '@graphql-eslint/no-deprecated']]);
}

/** Runs the TypeScript of the README in a folder with the key of the sandbox. */
async function readme(folder) {
  const text = readFileSync(join(here, '../../README.md'), 'utf8');
  const [[, name, code], ...others] = text.matchAll(/^```ts\n\/\/ (\S+)\n(.*?)^```$/gms);
  assert.deepEqual([name, others], ['users.mts', []]);
  writeFileSync(join(folder, name), code.replace('http://127.0.0.1:8080/graphql', url));
  mkdirSync(join(folder, 'data'));
  writeFileSync(join(folder, 'data', 'sandbox.key'), `${process.env.COFFER_KEY}\n`);
  await runs('tsc', ['--strict', '--target', 'es2022', '--module', 'nodenext', name], folder);
  const { stdout, stderr } = await execute('node', ['users.mjs'], { cwd: folder });
  const { users } = await send('{ users(first: 9) { edges { node { firstName status } } } }');
  assert.ok(users.edges.length > 2);
  const lines = users.edges.map(({ node }) => `${node.firstName} ${node.status}\n`);
  assert.deepEqual([stdout, stderr], [lines.join(''), '']);
}
