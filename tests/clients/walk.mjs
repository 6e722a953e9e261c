// The typed client of docs/clients.md: generated from the schema, checked with `tsc --strict`, and run from sign-up to
// a position in the cache. The figures that the document prints are counted here.
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import WebSocket from 'ws';
import { blocks, guideText, send } from './guide.mjs';
import { assert, check, runs, schemaFile, socket, tally, url } from './harness.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const source = join(here, 'walk', 'client.ts');
const PHONE = '2025550131';
const TSC = ['--strict', '--allowJs', '--target', 'es2022', '--module', 'nodenext'];

/** What the client has sent: HTTP requests, WebSocket connections and subscriptions on them. */
const sent = { requests: 0, connections: 0, subscriptions: 0 };

const countedFetch = (...request) => {
  sent.requests += 1;
  return fetch(...request);
};

class CountedWebSocket extends WebSocket {
  constructor(...address) {
    super(...address);
    sent.connections += 1;
  }

  send(text, ...rest) {
    if (JSON.parse(text).type === 'subscribe') sent.subscriptions += 1;
    super.send(text, ...rest);
  }
}

export default async function walk() {
  const folder = mkdtempSync(join(here, '.walk-'));
  try {
    const { failed } = tally;
    await check('walk: the types are generated, and tsc --strict accepts the client', () => build(folder), 120_000);
    if (tally.failed === failed) await steps(await import(join(folder, 'out', 'client.js')));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Builds the client in a folder beside node_modules, with the files that the guide prints. */
async function build(folder) {
  mkdirSync(join(folder, 'src'));
  copyFileSync(schemaFile, join(folder, 'schema.graphql'));
  copyFileSync(source, join(folder, 'src', 'client.ts'));
  const printed = blocks();
  writeFileSync(join(folder, 'codegen.js'), printed['codegen.js']);
  for (const name of ['coffer-urql.js', 'coffer-value-types.js']) {
    writeFileSync(join(folder, 'src', name), printed[name]);
  }
  await runs('graphql-codegen', ['--config', 'codegen.js'], folder);
  await runs('tsc', [...TSC, '--outDir', 'out', 'src/client.ts'], folder);
}

async function steps({ createApp, Refused }) {
  const app = createApp({ url, socketUrl: socket, fetch: countedFetch, webSocketImpl: CountedWebSocket });
  const seen = {};
  const portfolio = (total, buyingPower, edges) => ({
    id: seen.account.id, number: seen.account.number, status: 'ACTIVE',
    balance: { total: money(total), buyingPower: money(buyingPower) },
    positions: { edges },
  });
  const run = {
    'sign up': async () => {
      const person = { fullName: 'Wanda Walker', birthDate: '1985-01-23', ssn: '213645001' };
      const session = await app.signUp({ email: 'wanda@example.com', password: 'correct horse', ...person });
      assert.match(session.accessToken, /^[\w-]+\.[\w-]+\.[\w-]+$/);
      assert.deepEqual(session.twoFactor, { isPassed: false });
      seen.userId = session.userId;
    },
    'send a passcode': async () => {
      const { hashCode, ...passcode } = await app.sendPasscode(PHONE);
      assert.deepEqual(passcode, { phoneLast4: '0131' });
      const outbox = `{ sandboxOutbox(first: 1, to: "+1${PHONE}") { edges { node { text } } } }`;
      const { edges } = (await send(outbox)).sandboxOutbox;
      Object.assign(seen, { hashCode, passcode: edges[0].node.text.match(/\b\d{6}\b/)[0] });
    },
    'verify the passcode': async () => {
      const twoFactor = await app.verifyPasscode(seen.hashCode, seen.passcode);
      assert.deepEqual(twoFactor, { isPassed: true, methods: ['SMS'] });
    },
    'complete the profile; the identity is approved': async () => {
      const address = { line1: '123 Test St', city: 'Richmond', state: 'VA', postalCode: '23220' };
      const { kyc, ...user } = await app.completeProfile(seen.userId, { address });
      assert.deepEqual(user, {
        id: seen.userId, status: 'APPROVED', firstName: 'Wanda', lastName: 'Walker',
      });
      assert.deepEqual([kyc.outcome, kyc.requirements], ['APPROVED', []]);
    },
    'open an account': async () => {
      seen.account = await app.openAccount({
        userId: seen.userId, type: 'CASH', maritalStatus: 'SINGLE', countryOfCitizenship: 'USA',
        employmentStatus: 'EMPLOYED', employmentPosition: 'Engineer', employerName: 'Navy',
      });
      assert.match(seen.account.number, /^[A-Z]{4}\d{5}$/);
      assert.deepEqual(seen.account, portfolio('0.00', '0.00', []));
    },
    'link a bank account': async () => {
      const { id, ...bankAccount } = await app.linkBankAccount(seen.userId, '4327843043', '121042882', 'Checking');
      assert.deepEqual(bankAccount, { nickname: 'Checking', numberLast4: '3043' });
      seen.bankAccountId = id;
    },
    'deposit': async () => {
      const { id, expectedOn, ...transfer } = await app.deposit(seen.account.id, seen.bankAccountId, '1000.00');
      assert.deepEqual(transfer, { status: 'PENDING', amount: money('1000.00') });
      seen.transferId = id;
      await settle(expectedOn);
    },
    'read the account; the deposit has settled': async () => {
      const { transfers, cursor, ...account } = await app.account(seen.account.id);
      assert.match(cursor, /^[1-9]\d*$/);
      seen.cursor = cursor;
      assert.deepEqual(account, portfolio('1000.00', '1000.00', []));
      const transfer = { id: seen.transferId, status: 'SETTLED', amount: money('1000.00') };
      assert.deepEqual(transfers.edges.map(({ node }) => node), [transfer]);
    },
    'watch the orders': async () => {
      seen.events = [];
      seen.filled = new Promise((resolve, reject) => {
        const handle = (event) => {
          seen.events.push(event);
          if (event.orderStatus === 'FILLED') resolve(event);
        };
        seen.stop = app.watchOrders(seen.account.id, seen.cursor, handle, reject);
      });
      seen.filled.catch(() => {});
    },
    'buy': async () => {
      const order = { accountId: seen.account.id, symbol: 'VTI', side: 'BUY', quantity: '2' };
      const { id, ...placed } = await app.placeOrder(order);
      assert.deepEqual(placed, { status: 'ACCEPTED', quantity: '2' });
      seen.orderId = id;
    },
    'the fill arrives': async () => {
      const { id, status, filledQuantity, filledAveragePrice } = (await seen.filled).order;
      assert.deepEqual({ id, status, filledQuantity }, { id: seen.orderId, status: 'FILLED', filledQuantity: '2' });
      assert.deepEqual(filledAveragePrice, money('250.10'));
      assert.deepEqual(seen.events.map(({ orderStatus }) => orderStatus), ['ACCEPTED', 'NEW', 'FILLED']);
      seen.stop();
    },
    'show the positions from the cache': async () => {
      const account = app.positions(seen.account.id);
      const [{ node: { id, instrument, ...position } }] = account.positions.edges;
      assert.deepEqual(position, {
        quantity: '2', costBasis: money('500.20'), marketValue: money('500.10'),
      });
      assert.deepEqual([typeof id, instrument.symbol], ['string', 'VTI']);
      assert.deepEqual(account, portfolio('999.90', '499.80', account.positions.edges));
    },
  };
  const counted = [];
  for (const [name, step] of Object.entries(run)) {
    const { requests } = sent;
    const { failed } = tally;
    await check(`walk: ${name}`, step);
    if (tally.failed > failed) return;
    counted.push([name, sent.requests - requests]);
  }
  const totals = { ...sent };
  await check('walk: a refusal names the field', async () => {
    const refused = app.placeOrder({ accountId: seen.account.id, symbol: 'VTI', side: 'BUY', quantity: '0' });
    await assert.rejects(refused, (error) => {
      assert.ok(error instanceof Refused);
      const [{ code, path, message }] = error.refusals;
      assert.deepEqual([code, path, message], ['INVALID', ['quantity'], 'quantity must be above zero']);
      return true;
    });
  });
  await app.close();
  await check('walk: the guide prints the counted figures', () => figures(counted, totals));
}

const money = (amount) => ({ amount });

/** Moves the sandbox clock to 10:00 or 11:00 in New York on the day of settlement, and sets the price of the shares. */
async function settle(day) {
  const quote = '{ bid: { amount: "250.00" }, ask: { amount: "250.10" } }';
  const { sandboxClockAdvance, sandboxQuoteSet } = await send(`mutation {
    sandboxClockAdvance(input: { to: "${day}T15:00:00Z" }) { userErrors { code message } }
    sandboxQuoteSet(input: { symbol: "VTI", quote: ${quote} }) { userErrors { code message } }
  }`);
  assert.deepEqual([sandboxClockAdvance.userErrors, sandboxQuoteSet.userErrors], [[], []]);
}

/** Compares the table and the totals of the guide with what was counted. */
function figures(counted, { requests, connections, subscriptions }) {
  const [, table] = guideText().match(/^\| step \| operation \| requests \|\n\|[-|]+\|\n((?:\|.*\n)+)/m);
  const rows = table.trim().split('\n').map((row) => row.split('|').map((cell) => cell.trim()));
  assert.deepEqual(rows.map(([, name, , requests]) => [name, Number(requests)]), counted);
  const lines = readFileSync(source, 'utf8').trimEnd().split('\n').length;
  const sentence = `The client has ${lines} lines. The walk takes ${requests} HTTP requests, ${connections} WebSocket `
    + `connection and ${subscriptions} subscription.`;
  assert.ok(guideText().replaceAll('\n', ' ').includes(sentence), sentence);
}
