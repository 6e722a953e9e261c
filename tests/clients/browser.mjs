// The playground in Chromium: a user signs up, verifies a phone number and signs in; and the page shown when GraphiQL's files are unavailable.
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { assert, authorization, check, tally, url } from './harness.mjs';

const PROGRAM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const MODULES = path.resolve('../../playground/node_modules');
const CDN = 'https://unpkg.com';
const TYPES = { '.css': 'text/css', '.js': 'text/javascript' };
const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
  '--disable-sync',
];
const REFUSALS = 'userErrors { code path message }';
const SESSION = `session { userId accessToken refreshToken twoFactor { isPassed methods phoneLast4 } } ${REFUSALS}`;
const NO_HEADERS = '';
const as = (credential) => JSON.stringify({ authorization: credential });

/** Reason to skip this suite; undefined if it can run. */
function missing() {
  if (!existsSync(PROGRAM)) return `${PROGRAM} is not installed`;
  return existsSync(path.join(MODULES, 'graphiql')) ? undefined : 'the playground is not installed: npm ci --prefix playground';
}

export default async function browser() {
  const why = missing();
  if (why) {
    assert.notEqual(process.env.COFFER_REQUIRE_BROWSER, '1', why);
    console.log(`skipped: ${why}`);
    return;
  }
  const program = await chromium.launch({ executablePath: PROGRAM, headless: true, args: FLAGS });
  try {
    const page = await program.newPage({ viewport: { width: 1400, height: 900 } });
    await signUpAndIn(new Graphiql(page));
    await withoutFiles(program);
  } finally {
    await program.close();
  }
}

/** Tests a server without GraphiQL's files, with several behaviors of the CDN. */
async function withoutFiles(program) {
  /** Opens the page in the size of a phone; `cdn` answers every request to another host. */
  const visit = async (cdn, look) => {
    const page = await program.newPage({ viewport: { width: 390, height: 844 } });
    try {
      await page.route((wanted) => wanted.origin === CDN, cdn);
      await page.goto(process.env.COFFER_BARE_PLAYGROUND, { waitUntil: 'commit' });
      await look(page);
    } catch (error) {
      await page.screenshot({ path: path.join(process.env.COFFER_WORK ?? '.', 'phone.png') }).catch(() => {});
      throw error;
    } finally {
      await page.close();
    }
  };
  const unavailable = async (page) => {
    const { origin } = new URL(page.url());
    await page.getByRole('heading', { name: 'GraphiQL could not be loaded' }).waitFor();
    assert.ok(!(await page.locator('#graphiql').isVisible()));
    const [install, query] = await page.locator('#unavailable pre').allInnerTexts();
    assert.equal(install, 'npm ci --prefix playground');
    assert.match(query, new RegExp(`^KEY=.*\\ncurl .* ${origin}/graphql `));
    await fits(page);
    await page.locator('#unavailable').getByRole('link').click();
    await page.waitForURL(`${origin}/docs#examples`);
    await page.getByRole('heading', { name: 'Run the examples' }).waitFor();
    await fits(page);
  };
  /** Asserts that nothing extends beyond the right edge. */
  const fits = async (page) => assert.ok(await page.evaluate(() => document.scrollingElement.scrollWidth <= window.innerWidth));
  /** Answers with the file of a pinned package, as the CDN does. */
  const published = (route, change = (content) => content) => {
    const { pathname } = new URL(route.request().url());
    const content = readFileSync(path.join(MODULES, pathname.replace(/(.)@[\d.]+\//, '$1/')));
    const headers = { 'access-control-allow-origin': '*', 'content-type': TYPES[path.extname(pathname)] };
    return route.fulfill({ headers, body: change(content) });
  };
  const suits = {
    'without the internet it says what to do': () => visit((route) => route.abort(), unavailable),
    'it links to the documentation': () => visit((route) => route.abort(), async (page) => {
      const links = await page.locator('header a').evaluateAll((all) => all.map((link) => link.getAttribute('href')));
      assert.deepEqual([await page.locator('header b').innerText(), links], ['Coffer', ['/docs', '/openapi.json']]);
    }),
    'the page is not blank while the CDN does not respond': () => visit(() => {}, async (page) => {
      await page.getByText('Loading GraphiQL from unpkg.com').waitFor();
      await page.getByRole('link', { name: 'REST documentation' }).waitFor();
    }),
    'the published files are those that the page requests': () => visit((route) => published(route), async (page) => {
      await page.locator('.graphiql-execute-button').waitFor();
      await fits(page);
    }),
    'changed files are refused': async () => {
      const wanted = ['react@', 'react-dom@', 'graphiql.min.css', 'graphiql.min.js', 'style.css', 'index.umd.js'];
      for (const name of wanted) {
        const changed = (route) => published(route, (content) => (route.request().url().includes(name) ? `${content}\n` : content));
        await visit(changed, unavailable);
      }
    },
  };
  for (const [name, run] of Object.entries(suits)) await check(`playground without files: ${name}`, run, 60_000);
}

async function signUpAndIn(graphiql) {
  const input = { email: 'ada@example.com', password: 'correct horse', fullName: 'Ada Carter' };
  const seen = {};
  const asUser = () => as(`Bearer ${seen.accessToken}`);
  const steps = {
    'the page loads its files from the server, and its first sample runs': async () => {
      await graphiql.open(new URL('/playground', url).href);
      const { data, errors } = await graphiql.execute('Customers');
      assert.ok(data?.users.edges.length > 0 && !errors, JSON.stringify(errors));
    },
    'a query is sent without cookies': async () => {
      const { page } = graphiql;
      await page.context().addCookies([{ name: 'session', value: 'secret', url }]);
      const sent = page.waitForRequest((request) => request.method() === 'POST');
      const { data } = await graphiql.run('Plain', 'query Plain { __typename }', {}, as(authorization));
      assert.deepEqual(data, { __typename: 'Query' });
      assert.equal((await (await sent).allHeaders()).cookie, undefined);
      await page.context().clearCookies();
    },
    'a user signs up without a credential': async () => {
      const operation = `mutation SignUp($input: UserSignUpInput!) { userSignUp(input: $input) { ${SESSION} } }`;
      const { session, userErrors } = (await graphiql.run('SignUp', operation, { input }, NO_HEADERS)).data.userSignUp;
      assert.deepEqual(userErrors, []);
      assert.match(session.accessToken, /^[\w-]+\.[\w-]+\.[\w-]+$/);
      assert.match(session.refreshToken, /^[\w-]+\.[\w-]+\.[\w-]+$/);
      assert.deepEqual(session.twoFactor, { isPassed: false, methods: [], phoneLast4: null });
      Object.assign(seen, session);
    },
    'the access token is refused before the second factor': async () => {
      const { data, errors } = await graphiql.run('Early', 'query Early { viewer { id } }', {}, asUser());
      assert.deepEqual(data, { viewer: null });
      assert.deepEqual(errors.map(({ path, extensions }) => [path, extensions.code]), [[['viewer'], 'TWO_FACTOR_REQUIRED']]);
    },
    'a passcode is sent to the phone': async () => {
      const operation = `mutation Send($input: PasscodeSendInput!) { passcodeSend(input: $input) { passcode { hashCode phoneLast4 } ${REFUSALS} } }`;
      const { passcode, userErrors } = (await graphiql.run('Send', operation, { input: { phone: '2025550107' } }, asUser())).data.passcodeSend;
      assert.deepEqual([userErrors, passcode.phoneLast4], [[], '0107']);
      assert.match(passcode.hashCode, /^\S{6,}$/);
      seen.hashCode = passcode.hashCode;
    },
    'the outbox shows the passcode to the sandbox key': async () => {
      const operation = 'query Outbox { sandboxOutbox(first: 1) { edges { node { to text } } } }';
      const { edges } = (await graphiql.run('Outbox', operation, {}, as(authorization))).data.sandboxOutbox;
      assert.deepEqual(edges.map(({ node }) => node.to), ['+12025550107']);
      [seen.passcode] = edges[0].node.text.match(/\b\d{6}\b/);
    },
    'the user verifies the passcode': async () => {
      const operation = `mutation Verify($input: PasscodeVerifyInput!) {
        passcodeVerify(input: $input) { twoFactor { isPassed methods phoneLast4 } ${REFUSALS} }
      }`;
      const { hashCode, passcode } = seen;
      const { data } = await graphiql.run('Verify', operation, { input: { hashCode, passcode } }, asUser());
      assert.deepEqual(data.passcodeVerify, { twoFactor: { isPassed: true, methods: ['SMS'], phoneLast4: '0107' }, userErrors: [] });
    },
    'the same access token is accepted afterwards': async () => {
      const { data } = await graphiql.run('Me', 'query Me { viewer { id email twoFactorMethods } }', {}, asUser());
      assert.deepEqual(data.viewer, { id: seen.userId, email: input.email, twoFactorMethods: ['SMS'] });
    },
    'a subscription accepts the access token': async () => {
      const operation = 'subscription Clock { marketClockChanged { __typename } }';
      const { data } = await graphiql.listen('Clock', operation, asUser());
      assert.deepEqual(data, { marketClockChanged: { __typename: 'MarketClockChangedEvent' } });
    },
    'the user signs in again, and the second factor is required': async () => {
      const operation = `mutation SignIn($input: UserSignInInput!) { userSignIn(input: $input) { ${SESSION} } }`;
      const { email, password } = input;
      const { session, userErrors } = (await graphiql.run('SignIn', operation, { input: { email, password } }, NO_HEADERS)).data.userSignIn;
      assert.deepEqual([userErrors, session.userId], [[], seen.userId]);
      assert.notEqual(session.accessToken, seen.accessToken);
      assert.notEqual(session.refreshToken, seen.refreshToken);
      assert.deepEqual(session.twoFactor, { isPassed: false, methods: ['SMS'], phoneLast4: '0107' });
    },
    'no request went to another host, and the page had no errors': async () => assert.deepEqual(graphiql.troubles, []),
  };
  for (const [name, step] of Object.entries(steps)) {
    const { failed } = tally;
    await check(`GraphiQL: ${name}`, step, 60_000);
    if (tally.failed > failed) {
      await graphiql.testify();
      return;
    }
  }
}

/** GraphiQL, used by keyboard. */
class Graphiql {
  constructor(page) {
    this.page = page;
    this.troubles = [];
  }

  async open(address) {
    const { origin } = new URL(address);
    this.page.on('pageerror', (error) => this.troubles.push(error.message));
    this.page.on('console', (message) => message.type() === 'error' && this.troubles.push(message.text()));
    await this.page.route((wanted) => wanted.origin !== origin && wanted.protocol.startsWith('http'), (route) => {
      this.troubles.push(route.request().url());
      return route.abort();
    });
    await this.page.goto(address);
    await this.page.locator('.graphiql-execute-button').waitFor();
    await this.page.locator('.graphiql-spinner').waitFor({ state: 'detached' });
  }

  /** Replaces operation, variables and headers by typing, and runs the operation; returns the displayed response. */
  async run(name, operation, variables, headers) {
    await this.write(name, operation, variables, headers);
    return this.execute(name, (sent) => assert.equal(sent.authorization, headers === NO_HEADERS ? undefined : JSON.parse(headers).authorization));
  }

  /** Returns the first displayed event of a subscription. */
  async listen(name, operation, headers) {
    await this.write(name, operation, {}, headers);
    await this.press();
    const event = await this.shown();
    await this.press();
    return event;
  }

  async write(name, operation, variables, headers) {
    const { page } = this;
    await this.type(page.locator('.graphiql-query-editor .CodeMirror'), operation);
    for (const [tab, text] of [['Variables', JSON.stringify(variables)], ['Headers', headers]]) {
      await page.locator('.graphiql-editor-tools').getByRole('button', { name: tab, exact: true }).click();
      await this.type(page.locator('.graphiql-editor-tool .graphiql-editor:not(.hidden) .CodeMirror'), text);
    }
    // GraphiQL has parsed the operation once its tab shows the name.
    await page.locator('.graphiql-tab-active').getByText(name, { exact: true }).waitFor();
  }

  async type(editor, text) {
    await editor.click();
    await this.page.keyboard.press('ControlOrMeta+A');
    await this.page.keyboard.press('Backspace');
    if (text) await this.page.keyboard.insertText(text);
    const indented = await editor.evaluate(({ CodeMirror }) => CodeMirror.getValue());
    assert.equal(indented.replaceAll(/^ +/gm, ''), text.replaceAll(/^ +/gm, ''));
  }

  press() {
    return this.page.locator('.graphiql-execute-button').click();
  }

  /** Runs the current operation and passes its request headers to a check; returns the displayed response. */
  async execute(name, look = () => {}) {
    const asked = (request) => request.method() === 'POST' && request.postDataJSON().operationName === name;
    const [request] = await Promise.all([this.page.waitForRequest(asked), this.press()]);
    look(request.headers());
    return this.shown();
  }

  /** Returns the text of the response pane once it is filled; running an operation empties it. */
  async shown() {
    const text = await this.page.waitForFunction(() => {
      const waiting = document.querySelector('.graphiql-response .graphiql-spinner');
      return !waiting && document.querySelector('.result-window .CodeMirror').CodeMirror.getValue();
    });
    return JSON.parse(await text.jsonValue());
  }

  /** Saves a screenshot of the page. */
  async testify() {
    const file = path.join(process.env.COFFER_WORK ?? '.', 'browser.png');
    await this.page.screenshot({ path: file }).then(
      () => console.log(`        the page: ${file}`),
      (error) => console.log(`        no picture of the page: ${error.message}`),
    );
    if (this.troubles.length > 0) console.log(`        its troubles: ${this.troubles.join('; ').slice(0, 1000)}`);
  }
}
