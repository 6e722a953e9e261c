// A typed client for the users of a brokerage app, from sign-up to the first position.
import { Client, fetchExchange, subscriptionExchange, type AnyVariables, type TypedDocumentNode } from '@urql/core';
import { createClient } from 'graphql-ws';
import { createCache } from './coffer-urql.js';
import { graphql } from './gql/index.js';
import type {
  AccountOpenInput, OrderPlaceInput, OrdersSubscription, UserPatch, UserSignUpInput,
} from './gql/graphql.js';

const SignUp = graphql(`mutation SignUp($input: UserSignUpInput!) {
  userSignUp(input: $input) { session { userId accessToken twoFactor { isPassed } } userErrors { code path message } }
}`);
const SendPasscode = graphql(`mutation SendPasscode($input: PasscodeSendInput!) {
  passcodeSend(input: $input) { passcode { hashCode phoneLast4 } userErrors { code path message } }
}`);
const VerifyPasscode = graphql(`mutation VerifyPasscode($input: PasscodeVerifyInput!) {
  passcodeVerify(input: $input) { twoFactor { isPassed methods } userErrors { code path message } }
}`);
const CompleteProfile = graphql(`mutation CompleteProfile($input: UserUpdateInput!) {
  userUpdate(input: $input) {
    user { id status firstName lastName kyc { id outcome requirements } } userErrors { code path message }
  }
}`);
graphql(`fragment Portfolio on Account {
  id number status balance { total { amount } buyingPower { amount } }
  positions(first: 20) {
    edges { node { id quantity costBasis { amount } marketValue { amount } instrument { id symbol } } }
  }
}`);
const OpenAccount = graphql(`mutation OpenAccount($input: AccountOpenInput!) {
  accountOpen(input: $input) { account { ...Portfolio } userErrors { code path message } }
}`);
const LinkBankAccount = graphql(`mutation LinkBankAccount($input: BankAccountLinkInput!) {
  bankAccountLink(input: $input) { bankAccount { id nickname numberLast4 } userErrors { code path message } }
}`);
const Deposit = graphql(`mutation Deposit($input: DepositCreateInput!) {
  depositCreate(input: $input) { transfer { id status expectedOn amount { amount } } userErrors { code path message } }
}`);
const Account = graphql(`query Account($id: ID!) {
  eventCursor
  account(id: $id) { ...Portfolio transfers(first: 5) { edges { node { id status amount { amount } } } } }
}`);
const PlaceOrder = graphql(`mutation PlaceOrder($input: OrderPlaceInput!) {
  orderPlace(input: $input) { order { id status quantity } userErrors { code path message } }
}`);
const Orders = graphql(`subscription Orders($accountId: ID!, $after: String) {
  orderChanged(accountId: $accountId, after: $after) {
    id cursor orderStatus
    order { id status filledQuantity filledAveragePrice { amount } account { ...Portfolio } }
  }
}`);
const Positions = graphql(`query Positions($id: ID!) {
  account(id: $id) { ...Portfolio }
}`);

type OrderEvent = OrdersSubscription['orderChanged'];
type Refusal = { code: string; path?: string[] | null; message: string };

/** A mutation was refused. `refusals` says why, and which fields of a form are wrong. */
export class Refused extends Error {
  constructor(readonly refusals: Refusal[]) {
    super(refusals.map(({ message }) => message).join(' '));
  }
}

/** Returns the changed object of a payload, or throws why the request was refused. */
function changed<P extends { userErrors: Refusal[] }, K extends keyof P>(payload: P | null | undefined, name: K) {
  const object = payload?.[name];
  if (object == null) throw new Refused(payload?.userErrors ?? []);
  return object;
}

type Options = { url: string; socketUrl: string; fetch?: typeof fetch; webSocketImpl?: unknown };

export function createApp({ url, socketUrl, fetch, webSocketImpl }: Options) {
  let token: string | undefined;
  const credentials = (): Record<string, string> => (token === undefined ? {} : { authorization: `Bearer ${token}` });
  const socket = createClient({ url: socketUrl, webSocketImpl, connectionParams: credentials });
  const urql = new Client({
    url, fetch, preferGetMethod: false, fetchOptions: () => ({ headers: credentials() }),
    exchanges: [createCache(), fetchExchange, subscriptionExchange({
      forwardSubscription: ({ query = '', variables }) => ({
        subscribe: (sink) => ({ unsubscribe: socket.subscribe({ query, variables }, sink) }),
      }),
    })],
  });
  async function send<T, V extends AnyVariables>(document: TypedDocumentNode<T, V>, variables: V) {
    const { data, error } = await urql.mutation(document, variables).toPromise();
    if (!data) throw error;
    return data;
  }

  return {
    async signUp(input: UserSignUpInput) {
      const session = changed((await send(SignUp, { input })).userSignUp, 'session');
      token = session.accessToken;
      return session;
    },
    async sendPasscode(phone: string) {
      return changed((await send(SendPasscode, { input: { phone } })).passcodeSend, 'passcode');
    },
    async verifyPasscode(hashCode: string, passcode: string) {
      return changed((await send(VerifyPasscode, { input: { hashCode, passcode } })).passcodeVerify, 'twoFactor');
    },
    async completeProfile(userId: string, patch: UserPatch) {
      return changed((await send(CompleteProfile, { input: { userId, patch } })).userUpdate, 'user');
    },
    async openAccount(input: AccountOpenInput) {
      return changed((await send(OpenAccount, { input })).accountOpen, 'account');
    },
    async linkBankAccount(userId: string, number: string, routingNumber: string, nickname: string) {
      const input = { userId, number, routingNumber, nickname };
      return changed((await send(LinkBankAccount, { input })).bankAccountLink, 'bankAccount');
    },
    async deposit(accountId: string, bankAccountId: string, amount: string) {
      const input = { idempotencyKey: crypto.randomUUID(), accountId, bankAccountId, amount: { amount } };
      return changed((await send(Deposit, { input })).depositCreate, 'transfer');
    },
    /** Returns the account as stored on the server, and the cursor to watch its orders from then on. */
    async account(id: string) {
      const { data, error } = await urql.query(Account, { id }, { requestPolicy: 'network-only' }).toPromise();
      if (!data) throw error;
      return { ...data.account, cursor: data.eventCursor };
    },
    async placeOrder(order: Omit<OrderPlaceInput, 'idempotencyKey'>) {
      const input = { idempotencyKey: crypto.randomUUID(), ...order };
      return changed((await send(PlaceOrder, { input })).orderPlace, 'order');
    },
    /** Passes changes of orders after `cursor` to `handle`, after the cache has stored them. Returns how to stop. */
    watchOrders(
      accountId: string, cursor: string, handle: (event: OrderEvent) => void, fail: (error: Error) => void,
    ) {
      return urql.subscription(Orders, { accountId, after: cursor }).subscribe(({ data, error }) => {
        if (data) handle(data.orderChanged);
        else if (error) fail(error);
      }).unsubscribe;
    },
    /** Returns the account with its positions from the cache, without a request. */
    positions(id: string) {
      return urql.readQuery(Positions, { id }, { requestPolicy: 'cache-only' })?.data?.account;
    },
    close: () => socket.dispose(),
  };
}
